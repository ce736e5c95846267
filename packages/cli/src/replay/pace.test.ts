import { describe, expect, it } from "vitest";
import { Pace } from "./pace.ts";

async function took(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}
const never = new AbortController().signal;

describe("a pace", () => {
  it("waits as long as it took, divided by the speed", async () => {
    const pace = new Pace(4, never);
    const ms = await took(async () => {
      await pace.until(400, "exchange");
      await pace.until(800, "exchange");
    });
    expect(ms).toBeGreaterThan(190);
    expect(ms).toBeLessThan(400);
  });

  it("never waits at max", async () => {
    const pace = new Pace("max", never);
    expect(await took(() => pace.until(3_600_000, "exchange"))).toBeLessThan(50);
  });

  it("leaves out most of a long pause, and says how much", async () => {
    const pace = new Pace(100, never);
    let left = 0;
    const ms = await took(async () => {
      left = await pace.until(3_600_000, "pause");
    });
    expect(left).toBe(3_600_000 - 300_000);
    expect(ms).toBeGreaterThan(2_900);
    expect(ms).toBeLessThan(4_000);
  });

  it("does not wait for a call that began before the last one ended", async () => {
    const pace = new Pace(1, never);
    await pace.until(100, "exchange");
    expect(await took(() => pace.until(20, "pause"))).toBeLessThan(50);
    expect(await took(() => pace.until(120, "exchange"))).toBeGreaterThan(80);
  });

  it("ends at once when it is stopped", async () => {
    const stop = new AbortController();
    const pace = new Pace(1, stop.signal);
    const waiting = pace.until(60_000, "exchange");
    stop.abort(new Error("stopped"));
    await expect(waiting).rejects.toThrow();
    await expect(pace.until(60_001, "exchange")).rejects.toThrow("stopped");
  });
});
