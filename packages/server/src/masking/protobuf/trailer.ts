import { isUtf8 } from "node:buffer";
import type { MaskPlan } from "../plan.ts";
import type { Tally } from "../tally.ts";
import { LeafMask, uninspectable } from "./leaf-mask.ts";

/**
 * Masks the value of `grpc-message`: UTF-8, percent-encoded but for printable ASCII
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Percent-Encoded"). A "%" that begins nothing stands for itself.
 * @throws HoopishError response_uninspectable, policy_blocked
 */
export function maskTrailerMessage(text: string, plan: MaskPlan, tally: Tally): string {
  if (plan.analyze !== undefined) throw uninspectable("its status goes to an analyzer, which is not asked here");
  const bytes = decoded(text);
  const masked = new LeafMask(plan, tally).text(bytes, 0, bytes.length, "message");
  return masked === undefined ? text : encoded(masked);
}

function decoded(text: string): Buffer {
  const plain = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const buffer = Buffer.from(plain, "latin1");
  // Clients show what is no UTF-8 byte for byte; it is looked at so.
  return isUtf8(buffer) ? buffer : Buffer.from(plain);
}

function encoded(bytes: Buffer): string {
  let text = "";
  for (const byte of bytes) {
    text +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}
