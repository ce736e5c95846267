import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HoopishError } from "./errors.ts";
import { parseDurationMs, parseSizeBytes, parseTimeMs } from "./times.ts";

const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return error instanceof HoopishError ? error.code : `not ours: ${String(error)}`;
  }
  return "no error";
};

describe("parseDurationMs", () => {
  test.each([
    ["250ms", 250],
    ["30s", 30_000],
    ["15m", 900_000],
    ["24h", 86_400_000],
    ["7d", 604_800_000],
    ["2w", 1_209_600_000],
    ["1y", 31_536_000_000],
    [" 5m ", 300_000],
    ["0s", 0],
  ])("%s is %i ms", (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  test.each(["", "5", "m", "-5m", "1.5h", "5 m", "5M", "1h30m", "1234567890s", "٥m", "5m\0"])("%j is none", (text) => {
    expect(codeOf(() => parseDurationMs(text))).toBe("usage");
  });
});

describe("parseTimeMs", () => {
  const nowMs = Date.parse("2026-11-23T08:00:00.000Z");

  test.each([
    ["24h", "2026-11-22T08:00:00.000Z"],
    ["0s", "2026-11-23T08:00:00.000Z"],
    ["2026-11-23", "2026-11-23T00:00:00.000Z"],
    ["2026-11-23T08:00:00Z", "2026-11-23T08:00:00.000Z"],
    ["2026-11-23T10:00:00.123+02:00", "2026-11-23T08:00:00.123Z"],
    ["2026-11-23t08:00:00z", "2026-11-23T08:00:00.000Z"],
    ["2026-11-23 08:00Z", "2026-11-23T08:00:00.000Z"],
  ])("%s", (text, time) => {
    expect(new Date(parseTimeMs(text, nowMs)).toISOString()).toBe(time);
  });

  test.each([
    "",
    "yesterday",
    "2026",
    "2026-13-01",
    "2026-02-30",
    "2026-11-31T00:00:00Z",
    "2026-11-23T25:00:00Z",
    "2026-11-23T08:00:00",
    "1700000000",
    "-5m",
  ])("%j is none", (text) => {
    expect(codeOf(() => parseTimeMs(text, nowMs))).toBe("usage");
  });

  test("reads back every time that hoopish writes", () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date("9999-12-31"), noInvalidDate: true }), (date) => {
        expect(parseTimeMs(date.toISOString(), nowMs)).toBe(date.getTime());
      }),
    );
  });
});

describe("parseSizeBytes", () => {
  test.each([
    ["0B", 0],
    ["512KiB", 524_288],
    ["4MiB", 4_194_304],
    ["1 GiB", 1_073_741_824],
    ["5MB", 5_000_000],
  ])("%s is %i", (text, bytes) => {
    expect(parseSizeBytes(text)).toBe(bytes);
  });

  test.each(["", "4", "MiB", "-1B", "4mib", "1.5MiB", "4 TiB"])("%j is none", (text) => {
    expect(codeOf(() => parseSizeBytes(text))).toBe("usage");
  });
});
