import { uninspectable } from "../protobuf/leaf-mask.ts";

/**
 * A one- or more-dimensional array in PostgreSQL's binary form (array_send): dimensions, flag, element type, each dimension's size
 * and lower bound, then each element's length and bytes.
 * @returns undefined: it stays
 */
export function maskTexts(bytes: Buffer, mask: (text: Buffer) => Buffer | undefined): Buffer | undefined {
  if (bytes.length < 12) throw uninspectable("an array is cut off");
  const dimensions = bytes.readInt32BE(0);
  if (dimensions < 0 || dimensions > 6) throw uninspectable("an array has no good dimensions");
  let at = 12 + dimensions * 8;
  if (at > bytes.length) throw uninspectable("an array is cut off");
  const out: Buffer[] = [bytes.subarray(0, at)];
  let changed = false;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) throw uninspectable("an array is cut off");
    const length = bytes.readInt32BE(at);
    const end = at + 4 + Math.max(0, length);
    if (length < -1 || end > bytes.length) throw uninspectable("an array is cut off");
    const masked = length > 0 ? mask(bytes.subarray(at + 4, end)) : undefined;
    if (masked === undefined) out.push(bytes.subarray(at, end));
    else {
      changed = true;
      const head = Buffer.alloc(4);
      head.writeInt32BE(masked.length);
      out.push(head, masked);
    }
    at = end;
  }
  return changed ? Buffer.concat(out) : undefined;
}
