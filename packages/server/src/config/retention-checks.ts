import { HoopishError, parseDurationMs } from "@hoopish/protocol";
import type { Finding } from "./mistake.ts";
import type { View } from "./view.ts";

const STANDARD: Readonly<Record<string, string>> = { default: "90d", heldOrBlocked: "1y", records: "7y" };

/** What an examiner is shown of a payload that is gone is its record: no record goes before its payloads do. */
export function checkRetention(view: View): Finding[] {
  const records = durationOf(view, "records");
  const payloads = ["default", "heldOrBlocked"].map((name) => durationOf(view, name));
  if (records === undefined || payloads.every((ms) => ms === undefined || ms <= records)) return [];
  const path = view.has(["retention", "records"]) ? ["retention", "records"] : ["retention"];
  const written = path.length > 1 ? "" : ` (where nothing is written: ${STANDARD.records})`;
  const message = `records${written} must be kept as long as payloads at least: they say what became of them`;
  return [{ path, message }];
}

function durationOf(view: View, name: string): number | undefined {
  const path = ["retention", name];
  const text = view.has(path) ? view.text(path) : STANDARD[name];
  if (text === undefined) return undefined;
  try {
    return parseDurationMs(text);
  } catch (error) {
    if (error instanceof HoopishError) return undefined;
    throw error;
  }
}
