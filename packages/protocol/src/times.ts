import { HoopishError } from "./errors.ts";

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

/** `90d`, `2m`, `250ms` → milliseconds. @throws HoopishError usage */
export function parseDurationMs(text: string): number {
  const match = /^(\d{1,9})(ms|s|m|h|d|w|y)$/.exec(text.trim());
  const unit = match?.[2] === undefined ? undefined : UNIT_MS[match[2]];
  if (match?.[1] === undefined || unit === undefined) {
    throw new HoopishError("usage", `"${text}" is not a duration`, { hint: "write 250ms, 30s, 15m, 24h, 7d or 1y" });
  }
  return Number(match[1]) * unit;
}

/** RFC 3339 (`2026-11-23T08:00:00Z`) or an age (`24h`, `7d`) → Unix milliseconds. @throws HoopishError usage */
export function parseTimeMs(text: string, nowMs: number): number {
  if (/^\d+(ms|s|m|h|d|w|y)$/.test(text.trim())) return nowMs - parseDurationMs(text);
  if (/^\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:\d{2}))?$/.test(text.trim())) {
    const ms = Date.parse(text.trim());
    if (!Number.isNaN(ms) && isDay(text.trim().slice(0, 10))) return ms;
  }
  throw new HoopishError("usage", `"${text}" is not a time`, {
    hint: "write an age such as 24h or 7d, or RFC 3339 such as 2026-11-23T08:00:00Z",
  });
}

/** Date.parse takes 2026-02-30 for the 2nd of March; an auditor who mistypes a date must hear of it. */
function isDay(day: string): boolean {
  const ms = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(day);
}

const SIZE_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  KiB: 1_024,
  MiB: 1_048_576,
  GiB: 1_073_741_824,
};

/** `4MiB` → bytes. @throws HoopishError usage */
export function parseSizeBytes(text: string): number {
  const match = /^(\d{1,9})\s?(B|KB|MB|GB|KiB|MiB|GiB)$/.exec(text.trim());
  const unit = match?.[2] === undefined ? undefined : SIZE_BYTES[match[2]];
  if (match?.[1] === undefined || unit === undefined) {
    throw new HoopishError("usage", `"${text}" is not a size`, { hint: "write 512KiB, 4MiB or 1GiB" });
  }
  return Number(match[1]) * unit;
}
