/** As much of Protocol Buffers' encoding (https://protobuf.dev/programming-guides/encoding/) as reflection takes. */

/** What the model server sent is not what was asked for, or no message at all. The message quotes nothing of it. */
export class GarbledError extends Error {
  override readonly name = "GarbledError";
}

export interface WireField {
  readonly number: number;
  /** What stands behind a length; empty for every other kind. It shares memory with the message. */
  readonly bytes: Buffer;
  /** A varint, unsigned, not exact beyond 2^53; 0 for every other kind. */
  readonly value: number;
}

const MAX_NUMBER = 2 ** 29 - 1;
const NONE = Buffer.alloc(0);

/** Goes over the fields of one message. @throws GarbledError */
export function* fieldsOf(message: Buffer): Generator<WireField> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; scale < 2 ** 70; scale *= 128) {
      const byte = message[at++];
      if (byte === undefined) throw new GarbledError("a message breaks off");
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new GarbledError("a number has more than 64 bits");
  };
  const take = (length: number): Buffer => {
    if (length > message.length - at) throw new GarbledError("a message breaks off");
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    if (number === 0 || number > MAX_NUMBER) throw new GarbledError("a field has no good number");
    switch (tag % 8) {
      case 0:
        yield { number, bytes: NONE, value: varint() };
        break;
      case 1:
        take(8);
        yield { number, bytes: NONE, value: 0 };
        break;
      case 2:
        yield { number, bytes: take(varint()), value: 0 };
        break;
      case 5:
        take(4);
        yield { number, bytes: NONE, value: 0 };
        break;
      default:
        throw new GarbledError("a field is a group, or of an unknown kind");
    }
  }
}

/** A field with a length. @param number below 16 */
export function delimited(number: number, value: Buffer): Buffer {
  const head = [(number << 3) | 2];
  let rest = value.length;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) head.push((rest % 128) | 0x80);
  head.push(rest);
  return Buffer.concat([Buffer.from(head), value]);
}
