import { readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { outcome, spawnSource } from "../testing/process.ts";
import { tempDir } from "../testing/world.ts";
import { withFileLock } from "./file-lock.ts";

const host = "here";
const lockIn = (dir: string) => ({ path: join(dir, "lock"), host, pid: process.pid });
const DEAD = { id: "0123456789abcdef", pid: 2 ** 22 + 1, host };

it("lets one of several processes in at a time", async () => {
  const dir = tempDir();
  const counter = join(dir, "counter");
  writeFileSync(counter, "0");
  const children = Array.from({ length: 4 }, () =>
    spawnSource(new URL("../testing/lock-process.ts", import.meta.url), [join(dir, "lock"), counter, "25"]),
  );
  for (const { code, stderr } of await Promise.all(children.map(outcome))) expect([code, stderr]).toEqual([0, ""]);
  expect(readFileSync(counter, "utf8")).toBe("100");
  expect(readdirSync(dir)).toEqual(["counter"]);
});

it("takes over from a process that was killed while it held the lock, and only one of many does", async () => {
  const dir = tempDir();
  writeFileSync(join(dir, "lock"), JSON.stringify(DEAD));
  let inside = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    inside += 1;
    most = Math.max(most, inside);
    await sleep(2);
    inside -= 1;
  };
  await Promise.all(Array.from({ length: 30 }, () => withFileLock(lockIn(dir), work)));
  expect(most).toBe(1);
  expect(readdirSync(dir)).toEqual([]);
});

it("waits for a live holder, and for one on another machine until its lock is old", async () => {
  const dir = tempDir();
  const path = join(dir, "lock");
  writeFileSync(path, JSON.stringify({ ...DEAD, pid: process.pid }));
  const options = { ...lockIn(dir), waitMs: 100 };
  await expect(withFileLock(options, async () => {})).rejects.toMatchObject({ hint: expect.stringContaining(path) });
  writeFileSync(path, JSON.stringify({ ...DEAD, host: "another" }));
  await expect(withFileLock(options, async () => {})).rejects.toThrow("holds a lock");
  utimesSync(path, new Date(), new Date(Date.now() - 31_000));
  expect(await withFileLock(options, async () => "mine")).toBe("mine");
});

it("takes over from a process that died before it had written its name", async () => {
  const dir = tempDir();
  const path = join(dir, "lock");
  writeFileSync(path, "");
  utimesSync(path, new Date(), new Date(Date.now() - 3_000));
  expect(await withFileLock(lockIn(dir), async () => "mine")).toBe("mine");
});

it("does not take away the lock of whoever took it for dead", async () => {
  const dir = tempDir();
  const path = join(dir, "lock");
  await withFileLock(lockIn(dir), async () => writeFileSync(path, JSON.stringify(DEAD)));
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(DEAD);
});

it("lets go when the work fails", async () => {
  const dir = tempDir();
  await expect(withFileLock(lockIn(dir), () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(readdirSync(dir)).toEqual([]);
});
