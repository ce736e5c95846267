import {
  errorFields,
  errorResponse,
  noticeResponse,
  notificationResponse,
  parameterStatus,
  parseNotification,
} from "@hoopish/protocol/postgres";
import type { MaskPlan } from "../plan.ts";
import type { Tally } from "../tally.ts";
import { TextMask } from "../text-mask.ts";

/** Severity, code, and where in the server's source and the statement's text something is: no words that a value could stand in. */
const FORMAL: ReadonlySet<string> = new Set(["S", "V", "C", "F", "L", "R", "P", "p"]);

/**
 * An error, a notice ("E", "N"), a notification ("A") or what a parameter is set to ("S"), whose words may quote rows.
 * @returns undefined: it stays as it is
 */
export function maskNotice(type: string, body: Buffer, plan: MaskPlan, tally: Tally): Buffer | undefined {
  let changed = false;
  const masked = (text: string): string => {
    const out = new TextMask(plan, tally, false).push(text, true);
    changed ||= out !== text;
    return out;
  };
  if (type === "A") {
    const { pid, channel, payload } = parseNotification(body);
    const told = masked(payload);
    return changed ? notificationResponse(pid, channel, told) : undefined;
  }
  if (type === "S") {
    const [name = "", value = ""] = body.toString("utf8").split("\0");
    const told = masked(value);
    return changed ? parameterStatus(name, told) : undefined;
  }
  const fields: Record<string, string> = {};
  for (const [letter, text] of errorFields(body)) fields[letter] = FORMAL.has(letter) ? text : masked(text);
  if (!changed) return undefined;
  return type === "E" ? errorResponse(fields) : noticeResponse(fields);
}
