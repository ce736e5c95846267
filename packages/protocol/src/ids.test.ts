import { describe, expect, test } from "vitest";
import { isAgentId, isCallId, isSessionId, newAgentId, newCallId, newSessionId, uuidv7 } from "./ids.ts";

const timeOf = (uuid: string): number => Number.parseInt(uuid.replaceAll("-", "").slice(0, 12), 16);

describe("uuidv7", () => {
  test("has version 7 and variant 10 (RFC 9562 §4, §5.7) and the time of its making", () => {
    const nowMs = Date.now() + 1_000_000;
    const uuid = uuidv7(nowMs);
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(timeOf(uuid)).toBe(nowMs);
  });

  test("grows strictly within one millisecond, past the counter's 4,096, and when the clock goes back", () => {
    const nowMs = Date.now() + 2_000_000;
    const ids = Array.from({ length: 10_000 }, () => uuidv7(nowMs));
    ids.push(uuidv7(nowMs - 60_000), uuidv7(nowMs - 1), uuidv7(0));
    expect(ids).toEqual(ids.toSorted());
    expect(new Set(ids).size).toBe(ids.length);
    expect(timeOf(ids.at(-1) as string) - nowMs).toBeLessThan(4);
  });

  test("never gives the same random bits to two ids", () => {
    const tails = Array.from({ length: 5_000 }, () => uuidv7().slice(19));
    expect(new Set(tails).size).toBe(tails.length);
  });
});

describe("branded ids", () => {
  test("each kind is told from the others by its prefix", () => {
    const ids = [newSessionId(), newCallId(), newAgentId()];
    expect(ids.map((id) => [isSessionId(id), isCallId(id), isAgentId(id)])).toEqual([
      [true, false, false],
      [false, true, false],
      [false, false, true],
    ]);
  });

  test.each([
    "call_",
    "call_0123",
    `call_${"0".repeat(33)}`,
    `call_${"G".repeat(32)}`,
    `call_${"A".repeat(32)}`,
    `call_${"0".repeat(32)}\n`,
    ` call_${"0".repeat(32)}`,
    "",
    undefined,
    null,
    7,
    [`call_${"0".repeat(32)}`],
  ])("%j is no call id", (value) => {
    expect(isCallId(value)).toBe(false);
  });
});
