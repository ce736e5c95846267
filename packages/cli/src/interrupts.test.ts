import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { Interrupts, stopExitCode } from "./interrupts.ts";
import { createWorld } from "./testing/world.ts";

it("aborts on the first signal, takes its echo for the same, and ends at once on a second one", async () => {
  const world = createWorld();
  const interrupts = new Interrupts(world);
  world.signal("SIGINT");
  expect(interrupts.signal.aborted).toBe(true);
  world.signal("SIGINT");
  expect(world.exits).toEqual([]);
  await sleep(600);
  world.signal("SIGINT");
  expect(world.exits).toEqual([130]);
});

it("leaves signals to whoever owns them", () => {
  const world = createWorld();
  const interrupts = new Interrupts(world);
  const got: string[] = [];
  const giveBack = interrupts.handOver((signal) => got.push(signal));
  world.signal("SIGINT");
  world.signal("SIGTERM");
  expect(got).toEqual(["SIGINT", "SIGTERM"]);
  giveBack();
  world.signal("SIGTERM");
  expect(interrupts.stop).toEqual({ by: "SIGTERM" });
});

it("ends with 0 when the reader has gone away, and with 128+n for signals", () => {
  const world = createWorld();
  const interrupts = new Interrupts(world);
  world.stdout.emit("error", Object.assign(new Error("x"), { code: "EPIPE" }));
  expect(interrupts.stop).toEqual({ by: "pipe" });
  expect([stopExitCode({ by: "pipe" }), stopExitCode({ by: "SIGHUP" }), stopExitCode({ by: "SIGTERM" })]).toEqual([
    0, 129, 143,
  ]);
});
