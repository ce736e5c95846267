import { gunzipSync, inflateSync } from "node:zlib";

/**
 * Messages of gRPC on a stream: a flag byte, four bytes of length (big-endian), the message
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message").
 */

const PREFIX = 5;
const NOTHING = Buffer.alloc(0);

/** What came is not gRPC, or more than is taken. The reader that threw it takes nothing more. */
export class GrpcProtocolError extends Error {
  override readonly name = "GrpcProtocolError";
}

/** One message. */
export interface GrpcFrame {
  /** It is encoded as the stream's `grpc-encoding` says. */
  readonly compressed: boolean;
  /** The message as it came, without its prefix. */
  readonly bytes: Buffer;
  /** The message with its prefix, as it came. */
  readonly raw: Buffer;
}

/** Cuts a stream of bytes into messages. What is held is one message that is not complete, within the maximum. */
export class GrpcFrameReader {
  readonly #max: number;
  /** The beginning of a frame; it grows with what came, never with what its length promises. */
  #pending = NOTHING;
  #size = 0;
  #broken: GrpcProtocolError | undefined;

  /** @param options.maxMessageBytes of a message as it comes, its prefix not counted */
  constructor({ maxMessageBytes }: { readonly maxMessageBytes: number }) {
    this.#max = maxMessageBytes;
  }

  /** @returns the frames that these bytes complete; they may share memory with `bytes`. @throws GrpcProtocolError */
  push(bytes: Buffer): GrpcFrame[] {
    if (this.#broken !== undefined) throw this.#broken;
    const frames: GrpcFrame[] = [];
    let at = 0;
    while (at < bytes.length) {
      if (this.#size > 0) {
        at = this.#fill(bytes, at, frames);
        continue;
      }
      const end = bytes.length - at < PREFIX ? Number.POSITIVE_INFINITY : at + this.#lengthOf(bytes, at);
      if (end <= bytes.length) {
        frames.push(frameOf(bytes.subarray(at, end)));
        at = end;
      } else {
        // A copy: the piece that it came with is not kept alive by it.
        this.#append(bytes, at, bytes.length, PREFIX);
        at = bytes.length;
      }
    }
    return frames;
  }

  /** The stream has ended. @throws GrpcProtocolError when it ended in the middle of a message */
  end(): void {
    if (this.#broken !== undefined) throw this.#broken;
    if (this.#size > 0) throw this.#fail("it ends in the middle of a message");
  }

  /** Goes on with the frame that was begun. @returns up to where `bytes` were taken */
  #fill(bytes: Buffer, from: number, frames: GrpcFrame[]): number {
    let at = from;
    if (this.#size < PREFIX) {
      const to = Math.min(bytes.length, at + PREFIX - this.#size);
      this.#append(bytes, at, to, PREFIX);
      at = to;
      if (this.#size < PREFIX) return at;
    }
    const whole = this.#lengthOf(this.#pending, 0);
    const to = Math.min(bytes.length, at + whole - this.#size);
    this.#append(bytes, at, to, whole);
    if (this.#size === whole) {
      frames.push(frameOf(this.#pending.subarray(0, whole)));
      this.#pending = NOTHING;
      this.#size = 0;
    }
    return to;
  }

  #append(bytes: Buffer, from: number, to: number, whole: number): void {
    const needed = this.#size + to - from;
    if (needed > this.#pending.length) {
      // Doubled, so that many small pieces cost no more than one; never beyond the message.
      const room = Math.max(needed, Math.min(whole, this.#pending.length * 2));
      const grown = Buffer.allocUnsafeSlow(room);
      this.#pending.copy(grown, 0, 0, this.#size);
      this.#pending = grown;
    }
    bytes.copy(this.#pending, this.#size, from, to);
    this.#size = needed;
  }

  /** Of the frame whose prefix is there, with its prefix. */
  #lengthOf(bytes: Buffer, at: number): number {
    if ((bytes[at] as number) > 1) throw this.#fail("a message begins with an unknown flag");
    const length = bytes.readUInt32BE(at + 1);
    if (length > this.#max) throw this.#fail("a message is longer than is taken");
    return PREFIX + length;
  }

  #fail(why: string): GrpcProtocolError {
    this.#pending = NOTHING;
    this.#size = 0;
    this.#broken = new GrpcProtocolError(why);
    return this.#broken;
  }
}

const frameOf = (raw: Buffer): GrpcFrame => ({ compressed: raw[0] === 1, bytes: raw.subarray(PREFIX), raw });

/** A message with its prefix. */
export function encodeFrame(message: Buffer, compressed = false): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX + message.length);
  frame[0] = compressed ? 1 : 0;
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, PREFIX);
  return frame;
}

/**
 * The message in a frame, uncompressed.
 * @param encoding the stream's `grpc-encoding`: gzip, deflate (zlib's format, RFC 1950) or identity
 * @param maxBytes of the message; zlib stops there, so that what a sender packed small never becomes large here
 * @throws GrpcProtocolError
 */
export function decompress(frame: GrpcFrame, encoding: string, maxBytes: number): Buffer {
  if (!frame.compressed) return frame.bytes;
  const unpack = encoding === "gzip" ? gunzipSync : encoding === "deflate" ? inflateSync : undefined;
  if (unpack === undefined) throw new GrpcProtocolError("a message is compressed in an unknown way");
  try {
    return unpack(frame.bytes, { maxOutputLength: Math.max(1, maxBytes) });
  } catch (cause) {
    const large = (cause as { code?: string }).code === "ERR_BUFFER_TOO_LARGE";
    throw new GrpcProtocolError(large ? "a message is longer than is taken" : "a message cannot be decompressed", {
      cause,
    });
  }
}
