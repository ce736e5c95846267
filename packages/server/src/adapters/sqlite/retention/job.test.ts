import type { HoopishError } from "@hoopish/protocol";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { RetentionJob } from "../../../evidence/retention/job.ts";
import { DAY_MS, RetentionWorld } from "../testing/retention-world.ts";

const HOUR_MS = 3_600_000;
let world: RetentionWorld;
let reported: HoopishError[];
const jobs: RetentionJob[] = [];

beforeEach(async () => {
  world = new RetentionWorld();
  reported = [];
  await world.open();
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const job of jobs.splice(0)) await job.stop();
  await world.close();
});

function startJob(newestCallMs: number | undefined): RetentionJob {
  const report = (error: unknown): void => void reported.push(error as HoopishError);
  const job = new RetentionJob(world.retention, { now: () => world.nowMs, newestCallMs, report });
  jobs.push(job);
  job.start();
  return job;
}

/** Of the timers that are set from here on, the longest. */
function watchTimers(): () => number {
  const spy = vi.spyOn(globalThis, "setTimeout");
  return () => Math.max(...spy.mock.calls.map(([, ms]) => ms ?? 0));
}

describe("the retention job", () => {
  test.each([
    ["2026-06-01T00:00:00.000Z", 3],
    ["2026-06-01T03:00:00.000Z", 24],
    ["2026-06-01T05:00:00.000Z", 22],
  ])("purges at the start (%s), and then at three o'clock of UTC", async (time, hours) => {
    const call = await world.call();
    world.at(time);
    const timers = watchTimers();
    startJob(world.nowMs - DAY_MS);
    await vi.waitFor(() => expect(timers()).toBe(hours * HOUR_MS), 10_000);
    expect(await world.states(call)).toEqual(["request purged", "delivered purged"]);
    expect(await world.purges()).toMatchObject([{ by: "schedule" }]);
    expect(reported).toEqual([]);
  });

  test("destroys nothing by a clock that is far ahead of the newest call, and says so every hour", async () => {
    const call = await world.call();
    const newest = world.nowMs;
    world.at("2026-06-01T05:00:00.000Z");
    const timers = watchTimers();
    startJob(newest);
    await vi.waitFor(() => expect(timers()).toBe(HOUR_MS), 10_000);
    expect(reported).toMatchObject([{ code: "conflict", message: expect.stringContaining("far ahead") }]);
    expect(await world.states(call)).toEqual(["request complete", "delivered complete"]);
  });

  test("nor by one that was set forward while the server ran", async () => {
    const call = await world.call();
    const report = (error: unknown): void => void reported.push(error as HoopishError);
    const ports = { now: () => world.nowMs, newestCallMs: world.nowMs, report };
    const job = new RetentionJob(world.retention, ports);
    jobs.push(job);
    world.at("2026-06-01T05:00:00.000Z");
    job.start();
    await vi.waitFor(() => expect(reported).toHaveLength(1), 10_000);
    expect(reported[0]?.message).toContain("was set forward");
    expect(await world.states(call)).toEqual(["request complete", "delivered complete"]);
  });

  test("ends between two steps when the server does, and reports nothing then", async () => {
    for (let i = 0; i < 20; i++) await world.call();
    world.at("2026-06-01T00:00:00.000Z");
    await startJob(world.nowMs).stop();
    expect(reported).toEqual([]);
    expect((await world.purges()).length).toBeLessThanOrEqual(1);
  });
});
