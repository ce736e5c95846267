import { maskWhole } from "./masker.ts";
import { buildPlan, type MaskPlan } from "./plan.ts";
import { PII_TYPES } from "./types.ts";

const NO_MAC = Buffer.alloc(32);
let all: MaskPlan | undefined;

/**
 * How many of each type a body holds, for rules.
 * @throws HoopishError response_uninspectable
 */
export function countFindings(bytes: Buffer, contentType: string | undefined): ReadonlyMap<string, number> {
  all ??= buildPlan([{ detect: PII_TYPES, fields: [], action: { kind: "redact" } }], undefined, () => NO_MAC);
  return maskWhole(bytes, contentType, all).tally.counts;
}
