import { createHmac, type Hmac, randomBytes, timingSafeEqual } from "node:crypto";

/**
 * A payload commitment: c = base64(HMAC-SHA-256(salt, bytes)) with a salt of 32 random bytes for each payload. The
 * record holds `c` and `len`; the salt stays beside the payload, so that a short prompt cannot be guessed from the log.
 */
export interface Commitment {
  readonly c: string;
  /** Bytes committed to. */
  readonly len: number;
}

export const SALT_BYTES = 32;

/** Takes a payload in pieces as it flows; `finish` may be called once. */
export class Committer {
  readonly salt: Buffer;
  readonly #hmac: Hmac;
  #len = 0;

  constructor(salt: Buffer = randomBytes(SALT_BYTES)) {
    this.salt = salt;
    this.#hmac = createHmac("sha256", salt);
  }

  update(bytes: Uint8Array): void {
    this.#hmac.update(bytes);
    this.#len += bytes.byteLength;
  }

  finish(): Commitment {
    return { c: this.#hmac.digest("base64"), len: this.#len };
  }
}

/** Whether `bytes` are what `commitment` commits to, under `salt`. */
export function verifyCommitment(commitment: Commitment, salt: Uint8Array, bytes: Uint8Array): boolean {
  const committer = new Committer(Buffer.from(salt));
  committer.update(bytes);
  const { c, len } = committer.finish();
  const given = Buffer.from(commitment.c, "base64");
  const expected = Buffer.from(c, "base64");
  return len === commitment.len && given.length === expected.length && timingSafeEqual(given, expected);
}
