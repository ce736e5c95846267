import { createHmac } from "node:crypto";
import { type Action, buildPlan, type MaskPlan } from "../plan.ts";
import { Tally } from "../tally.ts";
import { TextMask } from "../text-mask.ts";
import { PII_TYPES, type PiiType } from "../types.ts";

export const testMac = (value: string): Buffer => createHmac("sha256", "a test's key").update(value).digest();

export function testPlan(detect: readonly PiiType[] = PII_TYPES, action: Action = { kind: "redact" }): MaskPlan {
  return buildPlan([{ detect, fields: [], action }], undefined, testMac);
}

/** The text in these pieces, masked. */
export function maskedText(pieces: readonly string[], plan: MaskPlan, escaped = false): { text: string; held: number } {
  const mask = new TextMask(plan, new Tally(plan), escaped);
  let text = "";
  let held = 0;
  for (const piece of pieces) {
    text += mask.push(piece, false);
    held = Math.max(held, mask.held);
  }
  return { text: text + mask.push("", true), held };
}
