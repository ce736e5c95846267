import { randomBytes } from "node:crypto";
import { createReadStream, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { verifyBundle } from "@hoopish/protocol/bundle";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CuttingProxy } from "../world/cutting-proxy.ts";
import { type Ended, run } from "../world/program.ts";
import { type Connected, World } from "../world/world.ts";

/** An evidence bundle on its way to an auditor, over a line that breaks. */

let world: World;
let proxy: CuttingProxy;
let raw: Connected;
let token: string;

const BODY = 6 * 1024 * 1024;

beforeAll(async () => {
  world = await World.start();
  proxy = await CuttingProxy.start(world.serverUrl);
  await world.signIn("scientist");
  token = await world.idp.mintAccessToken("audit@bank.example");
  raw = await world.connect("scientist", "raw");
  // Bytes that cannot be packed: the bundle is as large as they are.
  for (let i = 0; i < 3; i += 1) {
    const answer = await fetch(`${raw.base}/test/echo`, { method: "POST", body: randomBytes(BODY) });
    await answer.arrayBuffer();
  }
});
afterAll(async () => {
  await proxy?.close();
  await world?.close();
});

type Output = Ended & { readonly stdout: string; readonly stderr: string };
/** As internal audit, through the line that breaks. */
const exportBy = (...args: string[]): Promise<Output> =>
  world.cli("audit", ["audit", "export", ...args], { env: { HOOPISH_SERVER: proxy.url, HOOPISH_TOKEN: token } });

/** The same export in one piece. */
async function unbroken(index: number): Promise<Buffer> {
  const url = `${world.serverUrl}/api/v1/audit/export?format=bundle&resume=${index}&offset=0`;
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  expect(answer.headers.get("hoopish-export")).toBe(String(index));
  return Buffer.from(await answer.arrayBuffer());
}

const verdictOf = async (path: string) => verifyBundle(createReadStream(path), { keys: [world.vkey] });

describe("hoopish audit export --format bundle", () => {
  it("goes on where the connection broke; the file is the one that an unbroken line gives, and verifies", async () => {
    const file = world.path("ev.tar.gz");
    const env = { HOOPISH_SERVER: proxy.url, HOOPISH_TOKEN: token };
    const pinned = await world.cli("audit", ["audit", "pin", "--json"], { env });
    const before = world.path("before.note");
    writeFileSync(before, (JSON.parse(pinned.stdout) as { note: string }).note);
    proxy.cuts.push(2_000_000, 5_000_000, 1_500);
    const { code, stdout, stderr } = await exportBy("--since", "1h", "-o", file, "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(proxy.made).toBe(3);
    const { index, bytes } = JSON.parse(stdout) as { index: number; bytes: number };
    expect(bytes).toBe(statSync(file).size);
    expect(bytes).toBeGreaterThan(3 * BODY);
    expect(readFileSync(file).equals(await unbroken(index))).toBe(true);
    const report = await verdictOf(file);
    expect(report.findings).toEqual([]);
    expect(report).toMatchObject({ verdict: "verified", requester: { name: "audit@bank.example" } });
    expect(report.counts.payloads.PRESENT_OK).toBeGreaterThanOrEqual(3);
    // As somebody with nothing but the file, the key, and a checkpoint that internal audit had before.
    const verify = run("hoopish", ["audit", "verify", file, "--key", world.vkey, "--checkpoint", before], {
      env: { HOME: world.path("nobody") },
    });
    expect((await verify.ended).code, verify.stdout).toBe(0);
  });

  it("goes on in another command when the first one was killed, and the server was started anew meanwhile", async () => {
    const file = world.path("killed.tar.gz");
    const env = { ...world.env("audit"), HOOPISH_SERVER: proxy.url, HOOPISH_TOKEN: token };
    proxy.cuts.push(3_000_000);
    const first = run("hoopish", ["audit", "export", "--since", "1h", "-o", file], { env });
    await first.until(() => (first.stderr.includes("going on") ? true : undefined));
    await first.stop("SIGKILL");
    expect(existsSync(file)).toBe(false);
    const had = statSync(`${file}.part`).size;
    expect(had).toBeGreaterThan(1_000_000);
    await raw.program.stop("SIGINT");
    await world.server.stop("SIGTERM");
    await world.startServer();
    proxy.cuts.push(4_000_000);
    const { code, stdout, stderr } = await exportBy("--resume", "-o", file, "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { index } = JSON.parse(stdout) as { index: number };
    expect(readFileSync(file).equals(await unbroken(index))).toBe(true);
    expect(await verdictOf(file)).toMatchObject({ verdict: "verified" });
    expect(existsSync(`${file}.part`) || existsSync(`${file}.part.json`) || existsSync(`${file}.part.lock`)).toBe(
      false,
    );
  });

  it("is gone on with by nobody else", async () => {
    const file = world.path("own.tar.gz");
    expect((await exportBy("--since", "1h", "--no-payloads", "-o", file, "--json")).code).toBe(0);
    const report = await verdictOf(file);
    expect(report.verdict).toBe("verified");
    expect(report.counts.payloads).toMatchObject({ PRESENT_OK: 0 });
    expect(report.counts.payloads.WITHHELD).toBeGreaterThan(0);
    const index = (report.range.end as number) - 1;
    const query = `format=bundle&resume=${index}&offset=0`;
    const other = await world.idp.mintAccessToken("platform@bank.example");
    const answer = await fetch(`${world.serverUrl}/api/v1/audit/export?${query}`, {
      headers: { authorization: `Bearer ${other}` },
    });
    expect(answer.status).toBe(403);
  });
});
