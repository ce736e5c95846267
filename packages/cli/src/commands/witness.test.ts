import type { ChildProcess } from "node:child_process";
import { createPublicKey, hash } from "node:crypto";
import { once } from "node:events";
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { addSignatures, newLogKey, openNote, parseVkey } from "@hoopish/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { outcome, spawnSource } from "../testing/process.ts";
import { SampleLog } from "../testing/sample-log.ts";
import { createWorld, runCli, tempDir } from "../testing/world.ts";

const logKey = newLogKey();
const log = new SampleLog(2_000, logKey);

interface Running {
  readonly url: string;
  readonly world: ReturnType<typeof createWorld>;
  readonly stop: () => Promise<number>;
}

describe("hoopish witness", () => {
  let folder = "";
  let files: string[] = [];
  let vkey = "";
  const stops: (() => Promise<unknown>)[] = [];

  beforeEach(async () => {
    folder = tempDir();
    files = ["--key", join(folder, "key"), "--state", join(folder, "state")];
    const init = await runCli(["witness", "init", "--name", "bank.example/audit", "--quiet", ...files]);
    expect(init).toMatchObject({ code: 0, stderr: "" });
    vkey = init.stdout.trim();
  });
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });

  const start = async (): Promise<Running> => {
    const world = createWorld();
    const code = run(world, ["--json", "witness", ...files, "--listen", "127.0.0.1:0", "--log", log.signer.vkey]);
    const { url } = await world.stdout.event<{ url: string }>(({ event }) => event === "ready");
    const stop = async (): Promise<number> => {
      world.signal("SIGINT");
      return await code;
    };
    stops.push(stop);
    return { url, world, stop };
  };
  const submit = (url: string, body: string | Uint8Array<ArrayBuffer>): Promise<Response> =>
    fetch(`${url}/add-checkpoint`, { method: "POST", body });
  const isCosigned = (note: string, lines: string): boolean =>
    openNote(addSignatures(note, lines), [parseVkey(vkey)]).verified.length === 1;

  it("init makes a key for its owner alone, which openssl could read, and the key that logs need", () => {
    expect(vkey).toMatch(/^bank\.example\/audit\+[0-9a-f]{8}\+B/);
    expect(statSync(join(folder, "key")).mode & 0o777).toBe(0o600);
    const { x } = createPublicKey(readFileSync(join(folder, "key"))).export({ format: "jwk" });
    expect(Buffer.from(vkey.split("+").slice(2).join("+"), "base64").subarray(1).toString("base64url")).toBe(x);
  });

  it("init overwrites nothing", async () => {
    const before = readFileSync(join(folder, "key"));
    const again = await runCli(["witness", "init", "--name", "other", ...files]);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("never overwritten") });
    expect(readFileSync(join(folder, "key"))).toEqual(before);
  });

  it("cosigns over HTTP, shows what it has cosigned, and ends cleanly at SIGINT", async () => {
    const { url, world, stop } = await start();
    const response = await submit(url, log.request(0, 40));
    expect(response.status).toBe(200);
    expect(isCosigned(log.checkpoint(40), await response.text())).toBe(true);
    const newest = await fetch(`${url}/${hash("sha256", log.origin)}/checkpoint`);
    expect(openNote(await newest.text(), [parseVkey(vkey)]).verified).toHaveLength(1);
    const conflict = await submit(url, log.request(0, 50));
    expect([conflict.status, conflict.headers.get("content-type"), await conflict.text()]).toEqual([
      409,
      "text/x.tlog.size",
      "40\n",
    ]);
    expect(await stop()).toBe(130);
    expect(world.stdout.lines.map((line) => JSON.parse(line))).toMatchObject([
      { event: "ready", vkey, logs: [{ origin: log.origin, size: 0 }] },
      { event: "cosigned", origin: log.origin, size: 40 },
      { event: "refused", origin: log.origin, status: 409, finding: false },
      { event: "closed" },
    ]);
    await expect(fetch(url)).rejects.toThrow();
    const again = await start();
    const ready = await again.world.stdout.event(({ event }) => event === "ready");
    expect(ready).toMatchObject({ logs: [{ origin: log.origin, size: 40 }] });
  });

  it("keeps a fork as a finding: two signed checkpoints of one size", async () => {
    const { url, world } = await start();
    await submit(url, log.request(0, 40));
    const fork = new SampleLog(60, logKey, "other", 30);
    expect((await submit(url, fork.request(40, 40))).status).toBe(422);
    await world.stdout.event(({ event, finding }) => event === "refused" && finding === true);
    const finding = JSON.parse(readFileSync(join(folder, "state.findings.jsonl"), "utf8"));
    expect(finding).toMatchObject({ note: fork.checkpoint(40), reason: "another history of the same 40 records" });
  });

  it("judges one request after the other: of two forks at once it cosigns one", async () => {
    const { url } = await start();
    await submit(url, log.request(0, 40));
    const forks = [log, ...[1, 2, 3].map((seed) => new SampleLog(90, logKey, `${seed}`, 40))];
    const answers = await Promise.all(forks.map((fork) => submit(url, fork.request(40, 80))));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
  });

  it("is bounded: body, method, path and time", async () => {
    const { url, world } = await start();
    expect((await submit(url, new Uint8Array(70_000))).status).toBe(413);
    const endless = new ReadableStream({ pull: (it) => it.enqueue(new Uint8Array(16_384)) });
    const long = fetch(`${url}/add-checkpoint`, { method: "POST", body: endless, duplex: "half" } as RequestInit);
    expect(
      await long.then(
        ({ status }) => status,
        () => 413,
      ),
    ).toBe(413);
    expect((await fetch(`${url}/add-checkpoint`)).status).toBe(405);
    expect((await fetch(`${url}/${"0".repeat(64)}/checkpoint`)).status).toBe(404);
    expect((await fetch(`${url}/../etc/passwd`)).status).toBe(404);
    for (let n = 0; n < 20; n += 1) expect((await submit(url, "hello")).status).toBe(400);
    expect((await submit(url, log.request(0, 1).replace(log.origin, "unknown.example"))).status).toBe(404);
    expect(world.stdout.lines.filter((line) => line.includes('"ignored"'))).toHaveLength(1);
    expect((await submit(url, log.request(0, 40))).status).toBe(200);
  });

  it("ends although somebody keeps a connection open", async () => {
    const { url, stop } = await start();
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    await once(socket, "connect");
    socket.on("error", () => {});
    const began = performance.now();
    expect(await stop()).toBe(130);
    expect(performance.now() - began).toBeLessThan(4_000);
    socket.destroy();
  });

  it("refuses a second process on its state", async () => {
    await start();
    const second = await runCli(["witness", ...files, "--log", log.signer.vkey]);
    expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining("another hoopish witness uses") });
  });

  it.each<[string, () => void, string]>([
    ["a lost state", () => rmSync(join(folder, "state")), "there is no state"],
    ["a lost key", () => rmSync(join(folder, "key")), "there is no key"],
    ["a key that others can read", () => chmodSync(join(folder, "key"), 0o640), "can be read by other users"],
    ["a key that is none", () => writeFileSync(join(folder, "key"), "hello"), "holds no Ed25519 private key"],
  ])("does not start with %s", async (_what, spoil, message) => {
    spoil();
    const ended = await runCli(["witness", ...files, "--log", log.signer.vkey]);
    expect(ended).toMatchObject({ code: 78, stderr: expect.stringContaining(message) });
  });

  it("does not start with another witness's key, or a witness's key as a log's", async () => {
    const other = ["--key", join(folder, "key2"), "--state", join(folder, "state2")];
    await runCli(["witness", "init", "--name", "bank.example/audit", ...other]);
    const mixed = ["--key", join(folder, "key2"), "--state", join(folder, "state")];
    const wrong = await runCli(["witness", ...mixed, "--log", log.signer.vkey]);
    expect(wrong).toMatchObject({ code: 78, stderr: expect.stringContaining("is not the key whose memory") });
    const swapped = await runCli(["witness", ...files, "--log", vkey]);
    expect(swapped).toMatchObject({ code: 3, stderr: expect.stringContaining("is a witness's key") });
  });

  it("kill -9 at any moment: what was cosigned is in the state, and the next process goes on", async () => {
    const main = new URL("../testing/main-process.ts", import.meta.url);
    const args = ["--json", "witness", ...files, "--listen", "127.0.0.1:0", "--log", log.signer.vkey];
    let size = 0;
    // On a busy machine a round may be over before anything was answered: as many as it takes.
    for (let round = 0; round < 6 || (size <= 6 && round < 30); round += 1) {
      const child = spawnSource(main, args);
      const ended = outcome(child);
      const url = await readyUrl(child);
      const kill = setTimeout(() => child.kill("SIGKILL"), 20 + Math.random() * 60);
      // Where the one before was killed after it had stored and before it had answered, its state is ahead of us.
      const told = await submit(url, log.request(0, 1)).then(
        async (it) => [it.status, await it.text()] as const,
        () => undefined,
      );
      if (told?.[0] === 409) {
        expect(Number(told[1])).toBeGreaterThanOrEqual(size);
        size = Number(told[1]);
      } else if (told !== undefined) size = 1;
      while (size > 0 && size < 1_990) {
        const response = await submit(url, log.request(size, size + 1)).catch(() => undefined);
        const lines = await response?.text().catch(() => undefined);
        if (response === undefined || lines === undefined) break;
        expect(response.status).toBe(200);
        expect(isCosigned(log.checkpoint(size + 1), lines)).toBe(true);
        size += 1;
      }
      await ended;
      clearTimeout(kill);
      if (size > 0) {
        const state = JSON.parse(readFileSync(join(folder, "state"), "utf8")) as { logs: Record<string, string> };
        expect(Number(state.logs[log.origin]?.split("\n")[1])).toBeGreaterThanOrEqual(size);
      }
    }
    expect(size).toBeGreaterThan(6);
    expect(existsSync(join(folder, "state"))).toBe(true);
  }, 60_000);
});

function readyUrl(child: ChildProcess): Promise<string> {
  let text = "";
  return new Promise((resolve, reject) => {
    child.once("close", () => reject(new Error("the witness ended before it was ready")));
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      const [line, more] = text.split("\n");
      if (line !== undefined && more !== undefined) resolve((JSON.parse(line) as { url: string }).url);
    });
  });
}
