import type { MessageType } from "../../protobuf/message-type.ts";
import { buildPlan, type MaskPlan } from "../plan.ts";
import { Tally } from "../tally.ts";
import { PII_TYPES } from "../types.ts";
import { maskMessage } from "./mask-message.ts";

const NO_MAC = Buffer.alloc(32);
let all: MaskPlan | undefined;

/**
 * How many of each type a message holds, for rules.
 * @param bytes uncompressed, without its prefix
 * @throws HoopishError response_uninspectable
 */
export function countGrpcFindings(type: MessageType, bytes: Buffer): ReadonlyMap<string, number> {
  all ??= buildPlan([{ detect: PII_TYPES, fields: [], action: { kind: "redact" } }], undefined, () => NO_MAC);
  const tally = new Tally(all);
  maskMessage(type, bytes, all, tally);
  return tally.counts;
}
