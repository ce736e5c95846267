import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
  randomFillSync,
  timingSafeEqual,
} from "node:crypto";

/**
 * The intake: what is durable and not in the database yet. Batches are appended here, one write and one wait for the
 * disk each; the database follows in larger transactions. Two files (segments) of a fixed size take turns, so that a
 * write never changes a file's length and the disk has to keep nothing but the bytes.
 *
 *   segment   head (4 KiB: twice at 0 and 2048, see HEAD) · frame · frame …
 *   head      16 bytes "hoopish intake 1" · u64 serial · salt 32 · HMAC-SHA-256 over what comes before
 *   frame     u32 "HPIF" · u32 length · u64 seq · nonce 12 · 4 zeros · ciphertext · tag 16, padded with zeros to 16 bytes
 *
 * Payloads stand in here too, so a frame is encrypted (AES-256-GCM, its head as additional data) under a key that is derived
 * from the vault's key and the segment's salt: when a segment begins anew, its salt is gone, and what it held with it.
 * Numbers are little-endian.
 */
export const SEGMENT_BYTES: number = 8 * 1024 * 1024;
export const HEAD_BYTES = 4096;
const SECOND_HEAD = 2048;
const MAGIC: Buffer = Buffer.from("hoopish intake 1", "latin1");
const SALT_BYTES = 32;
const MAC_AT: number = MAGIC.length + 8 + SALT_BYTES;
const HEAD_USED: number = MAC_AT + 32;

const FRAME_MAGIC = 0x46495048;
export const FRAME_HEAD_BYTES = 32;
const TAG_BYTES = 16;
const ALIGN = 16;
const NONCE_AT = 16;
const NONCE_BYTES = 12;

export interface SegmentHead {
  /** Counts up with each segment that is begun. */
  readonly serial: number;
  readonly salt: Buffer;
}

export const newSegmentHead = (serial: number): SegmentHead => ({ serial, salt: randomBytes(SALT_BYTES) });

/** Both copies of a head, as a block of HEAD_BYTES. */
export function encodeHead({ serial, salt }: SegmentHead, vaultKey: Uint8Array): Buffer {
  const block = Buffer.alloc(HEAD_BYTES);
  MAGIC.copy(block, 0);
  block.writeBigUInt64LE(BigInt(serial), MAGIC.length);
  salt.copy(block, MAGIC.length + 8);
  headMac(block.subarray(0, MAC_AT), vaultKey).copy(block, MAC_AT);
  block.copy(block, SECOND_HEAD, 0, HEAD_USED);
  return block;
}

/**
 * Where the two copies differ, a write was torn, and the newer one is true: what the older segment held was done with.
 * @returns undefined when neither can be believed
 */
export function decodeHead(block: Buffer, vaultKey: Uint8Array): SegmentHead | undefined {
  const heads = [0, SECOND_HEAD].flatMap((at) => oneHead(block.subarray(at, at + HEAD_USED), vaultKey) ?? []);
  return heads.sort((left, right) => right.serial - left.serial)[0];
}

function oneHead(bytes: Buffer, vaultKey: Uint8Array): SegmentHead | undefined {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (!timingSafeEqual(headMac(bytes.subarray(0, MAC_AT), vaultKey), bytes.subarray(MAC_AT))) return undefined;
  return {
    serial: Number(bytes.readBigUInt64LE(MAGIC.length)),
    salt: Buffer.from(bytes.subarray(MAGIC.length + 8, MAC_AT)),
  };
}

const headMac = (bytes: Uint8Array, vaultKey: Uint8Array): Buffer =>
  createHmac("sha256", derived(vaultKey, MAGIC, "hoopish intake head"))
    .update(bytes)
    .digest();

/** A key object: making one of the bytes for each frame costs as much as the frame's encryption. */
export const segmentKey = (vaultKey: Uint8Array, { salt }: SegmentHead): KeyObject =>
  createSecretKey(derived(vaultKey, salt, "hoopish intake frames"));

const derived = (key: Uint8Array, salt: Uint8Array, info: string): Buffer =>
  Buffer.from(hkdfSync("sha256", key, salt, info, 32));

/** What a frame of `length` bytes takes in a segment. */
export const frameBytes = (length: number): number => {
  const size = FRAME_HEAD_BYTES + length + TAG_BYTES;
  return size + ((ALIGN - (size % ALIGN)) % ALIGN);
};
/** Nonces are drawn for many frames at once. */
const nonces = Buffer.alloc(64 * NONCE_BYTES);
let nonceAt: number = nonces.length;

/** The frame's parts, to be written one after another. A nonce is never used again, also not for a write that failed. */
export function encodeFrame(seq: number, plain: Uint8Array, key: KeyObject): Buffer[] {
  if (nonceAt === nonces.length) {
    randomFillSync(nonces);
    nonceAt = 0;
  }
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUInt32LE(FRAME_MAGIC, 0);
  head.writeUInt32LE(plain.byteLength, 4);
  head.writeBigUInt64LE(BigInt(seq), 8);
  nonces.copy(head, NONCE_AT, nonceAt, nonceAt + NONCE_BYTES);
  nonceAt += NONCE_BYTES;
  const cipher = createCipheriv("aes-256-gcm", key, head.subarray(NONCE_AT, NONCE_AT + NONCE_BYTES));
  cipher.setAAD(head);
  const text = cipher.update(plain);
  cipher.final();
  const end = Buffer.alloc(frameBytes(plain.byteLength) - FRAME_HEAD_BYTES - plain.byteLength);
  cipher.getAuthTag().copy(end);
  return [head, text, end];
}

export interface Frame {
  readonly seq: number;
  readonly plain: Buffer;
  /** Where the next one begins. */
  readonly end: number;
}

/** The frame at `at`; undefined where there is no whole one that this key wrote. */
export function decodeFrame(segment: Buffer, at: number, key: KeyObject): Frame | undefined {
  if (at + FRAME_HEAD_BYTES + TAG_BYTES > segment.length || segment.readUInt32LE(at) !== FRAME_MAGIC) return undefined;
  const length = segment.readUInt32LE(at + 4);
  const start = at + FRAME_HEAD_BYTES;
  const end = at + frameBytes(length);
  if (end > segment.length) return undefined;
  const head = segment.subarray(at, start);
  const decipher = createDecipheriv("aes-256-gcm", key, head.subarray(NONCE_AT, NONCE_AT + NONCE_BYTES));
  decipher.setAAD(head);
  decipher.setAuthTag(segment.subarray(start + length, start + length + TAG_BYTES));
  const plain = decipher.update(segment.subarray(start, start + length));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return { seq: Number(segment.readBigUInt64LE(at + 8)), plain, end };
}

/** Whether a whole frame stands anywhere from `from` on: then what came before it was whole once, and is damaged now. */
export function hasFrameAfter(segment: Buffer, from: number, key: KeyObject): boolean {
  const aligned = from + ((ALIGN - (from % ALIGN)) % ALIGN);
  for (let at = aligned; at + FRAME_HEAD_BYTES < segment.length; at += ALIGN) {
    if (segment.readUInt32LE(at) === FRAME_MAGIC && decodeFrame(segment, at, key) !== undefined) return true;
  }
  return false;
}
