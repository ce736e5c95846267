import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addSignatures, ed25519Signer, newLogKey, parseVkey, signatureLine } from "@hoopish/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Gateway, type Route, sendError } from "../testing/gateway.ts";
import { logRoutes, TestLog } from "../testing/log.ts";
import { type Finished, runCli, tempDir } from "../testing/world.ts";
import { checkPin, openSeen } from "./pin.ts";

let gateway: Gateway;
let configDir: string;
/** What the server has at the moment. */
let log: TestLog;
let discovery: { log?: { origin: string; vkey: string } };
let shown: Route | undefined;

/** The log of one day ago, and what it could have become. */
const yesterday = (): TestLog => new TestLog(log.signer).grow(10);

beforeEach(async () => {
  configDir = tempDir();
  log = new TestLog().grow(10);
  discovery = { log: log.announced };
  shown = undefined;
  const routes = logRoutes(() => log);
  gateway = await Gateway.start({
    discovery,
    routes: {
      ...routes,
      "GET /api/v1/log/checkpoint": (...call) => (shown ?? routes["GET /api/v1/log/checkpoint"])?.(...call),
      "GET /api/v1/audit/calls": (_, response) => response.end('{"calls":[]}'),
    },
  });
});
afterEach(() => gateway.close());

const env = () => ({ HOOPISH_TOKEN: "t", HOOPISH_SERVER: gateway.url });
const cli = (...argv: string[]): Promise<Finished> => runCli([...argv, "--json"], { env: env(), configDir });
const pin = (...argv: string[]): Promise<Finished> => cli("audit", "pin", ...argv);

async function pinned(...argv: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await pin(...argv);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Record<string, unknown>;
}

async function refused(run: Promise<Finished> = pin()): Promise<string> {
  const { code, stderr } = await run;
  const { error } = JSON.parse(stderr) as { error: { code: string; message: string; hint: string } };
  expect({ code, error: error.code }).toEqual({ code: 1, error: "log_inconsistent" });
  return error.message;
}

const files = (): string[] => readdirSync(configDir).filter((name) => name.startsWith("log-"));
const pinPath = (): string => join(configDir, files().find((name) => /^log-[0-9a-f]{16}\.json$/.test(name)) ?? "none");
const stored = (): { note: string; vkey: string; seenAt: string } => JSON.parse(readFileSync(pinPath(), "utf8"));

/** Shows a note that the log itself would not. */
const show = (note: string): void => {
  shown = (_, response) => void response.end(note);
};

describe("a log that only grows", () => {
  test("is pinned when it is first seen, and followed", async () => {
    expect(await pinned()).toMatchObject({
      origin: log.signer.name,
      size: 10,
      vkey: log.signer.vkey,
      trust: "first_use",
    });
    expect(stored().note).toBe(log.checkpoint());
    for (const more of [1, 0, 6, 100]) {
      log.grow(more);
      expect(await pinned()).toMatchObject({ size: log.size, root: log.root().toString("base64") });
      expect(stored().note).toBe(log.checkpoint());
    }
  });

  test("is kept in a file of our own, and nothing else stays behind", async () => {
    await pinned();
    log.grow(1);
    await pinned();
    expect(statSync(pinPath()).mode & 0o777).toBe(0o600);
    expect(files()).toHaveLength(1);
  });

  test("costs one request while nothing is new", async () => {
    await pinned();
    const before = gateway.requests.length;
    const { mtimeMs } = statSync(pinPath());
    await pinned();
    expect(gateway.requests.slice(before).map(({ path }) => path)).toEqual(["/api/v1/log/checkpoint"]);
    expect(statSync(pinPath()).mtimeMs).toBe(mtimeMs);
  });

  test("may begin empty", async () => {
    log = new TestLog(log.signer);
    expect(await pinned()).toMatchObject({ size: 0 });
    log.grow(3);
    expect(await pinned()).toMatchObject({ size: 3 });
  });

  test("is pinned by connect and by the audit commands too", async () => {
    expect(await cli("audit", "list")).toMatchObject({ code: 0 });
    expect(stored().note).toBe(log.checkpoint());
    log.grow(5);
    const child = ["--", process.execPath, "-e", ""];
    expect(await runCli(["connect", "model-x", "--port", "0", ...child], { env: env(), configDir })).toMatchObject({
      code: 0,
    });
    expect(stored().note).toBe(log.checkpoint());
  });

  test("tells a person once which key is trusted", async () => {
    const first = await runCli(["audit", "list"], { env: env(), configDir });
    expect(first.stderr).toContain(log.signer.vkey);
    log.grow(1);
    expect((await runCli(["audit", "list"], { env: env(), configDir })).stderr).toBe("");
  });

  test("may have other signatures beside the known one, and only ours is kept", async () => {
    await pinned();
    log.grow(1);
    const text = log.checkpoint().split("\n\n")[0] ?? "";
    show(addSignatures(log.checkpoint(), signatureLine(ed25519Signer("new.example", newLogKey()), `${text}\n`)));
    expect(await pinned()).toMatchObject({ size: 11 });
    expect(stored().note).toBe(log.checkpoint());
  });

  test("is no alarm for twenty commands at once, whoever comes first", async () => {
    const routes = logRoutes(() => log);
    shown = (...call) => {
      log.grow(1);
      routes["GET /api/v1/log/checkpoint"]?.(...call);
    };
    const runs = await Promise.all(Array.from({ length: 20 }, () => pin()));
    expect(runs.map(({ code, stderr }) => ({ code, stderr }))).toEqual(Array(20).fill({ code: 0, stderr: "" }));
    expect(stored().note).toBe(log.checkpoint(30));
    expect(files()).toHaveLength(1);
  });

  test("is not asked of a server that has none", async () => {
    delete discovery.log;
    expect(await pinned()).toEqual({ server: gateway.url, pinned: false });
    expect(await cli("audit", "list")).toMatchObject({ code: 0, stderr: "" });
    expect(files()).toEqual([]);
  });
});

describe("a log that contradicts itself", () => {
  test("restored from yesterday's copy: went back, and stays refused however it grows", async () => {
    log.grow(7);
    await pinned();
    const proof = stored().note;
    log = yesterday();
    expect(await refused()).toContain("went back: it had 17 records, and shows 10 now");
    for (const more of [6, 1, 1, 40]) {
      log.grow(more, "another day");
      await refused();
    }
    expect(stored().note).toBe(proof);
  });

  test("a split view: another tree of the same size, or a longer one with a proof of its own", async () => {
    await pinned();
    log = new TestLog(log.signer).grow(9).append("what only you may see");
    expect(await refused()).toContain("two different histories of 10 records");
    log.grow(5);
    expect(await refused()).toContain("15 records do not begin with the 10");
  });

  test("stops connect before any session, and every audit command before any answer", async () => {
    await pinned();
    log = new TestLog(log.signer).grow(3);
    await refused(cli("connect", "model-x", "--port", "0"));
    expect(gateway.sessions).toEqual([]);
    for (const command of [["list"], ["show", `call_${"0".repeat(32)}`], ["export", "--since", "1h"]]) {
      await refused(cli("audit", ...command));
    }
    expect(gateway.requests.filter(({ path }) => path.startsWith("/api/v1/audit"))).toEqual([]);
  });

  test("is told loudly, and both signed checkpoints are kept", async () => {
    log.grow(7);
    await pinned();
    const before = log.checkpoint();
    log = yesterday();
    const { stderr } = await runCli(["audit", "list"], { env: env(), configDir });
    expect(stderr).toContain("THE EVIDENCE LOG CONTRADICTS ITSELF");
    expect(stderr).toContain("internal audit");
    const path = join(configDir, files().find((name) => name.includes("conflict")) ?? "");
    expect(stderr).toContain(path);
    const kept = JSON.parse(readFileSync(path, "utf8")) as { pinned: { note: string }; shown: string; found: string };
    expect(kept).toMatchObject({ pinned: { note: before }, shown: log.checkpoint() });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    // The first is the one that counts.
    log.grow(1);
    await refused();
    expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(kept);
  });

  test("signed again with another key: the key that the server names now is not believed", async () => {
    await pinned();
    log = new TestLog().grow(12);
    discovery.log = log.announced;
    expect(await refused()).toContain("not signed with the key that this machine trusts");
  });

  test("another origin under the same key", async () => {
    await pinned();
    log.grow(1);
    show(log.checkpoint(11, "gateway.bank.example/other"));
    expect(await refused()).toContain("gateway.bank.example/other");
  });

  test("not shown any more: hidden from discovery, or refused", async () => {
    await pinned();
    delete discovery.log;
    expect(await pinned()).toMatchObject({ size: 10 });
    for (const code of ["not_found", "policy_blocked", "internal"] as const) {
      shown = (_, response) => sendError(response, code, "no");
      expect(await refused()).toContain("does not show its log's checkpoint");
    }
  });

  test("proofs that do not prove: none, somebody else's, no hashes", async () => {
    await pinned();
    const honest = log;
    log = new TestLog(log.signer).grow(10, "other").grow(20);
    expect(await refused()).toContain("do not begin with");
    // The server's proofs cannot reach as far as its checkpoint says.
    log = honest;
    show(new TestLog(log.signer).grow(30).checkpoint());
    expect(await refused()).toContain("does not show that its 30 records begin with the 10 of before");
  });

  test.each([
    ["nothing", () => ""],
    ["a page", () => "<html>sign in to the guest network</html>"],
    ["an unsigned checkpoint", () => `${log.checkpoint().split("\n\n")[0]}\n\n`],
    ["a changed size", () => log.checkpoint().replace("\n10\n", "\n11\n")],
    ["a size beyond counting", () => log.checkpoint().replace("\n10\n", "\n18446744073709551615\n")],
    ["a signature cut short", () => log.checkpoint().replace(/.{4}\n$/, "\n")],
    ["a mountain", () => "a".repeat(3_000_000)],
  ])("%s instead of a checkpoint", async (_, note) => {
    await pinned();
    show(note());
    await refused();
    expect(stored().note).toBe(log.checkpoint());
  });

  test("at first sight already: another origin than announced, no valid key, another key's signature", async () => {
    discovery.log = { ...log.announced, origin: "gateway.bank.example/other" };
    expect(await refused()).toContain("gateway.bank.example/other");
    discovery.log = { ...log.announced, vkey: "none" };
    expect(await refused()).toContain("no valid key");
    discovery.log = new TestLog().announced;
    expect(await refused()).toContain("not signed with the key");
    expect(files()).toEqual([]);
  });
});

describe("a server that cannot answer now", () => {
  test.each(["evidence_unavailable", "server_draining", "rate_limited"] as const)(
    "%s: no alarm, no pin",
    async (code) => {
      await pinned();
      shown = (_, response) => sendError(response, code, "later");
      const { stderr, code: exit } = await pin();
      expect(JSON.parse(stderr)).toMatchObject({ error: { code } });
      expect(exit).not.toBe(0);
      expect(files()).toHaveLength(1);
    },
  );

  test("breaks off: no alarm", async () => {
    await pinned();
    shown = (_, response) => response.socket?.destroy();
    expect(JSON.parse((await pin()).stderr)).toMatchObject({ error: { code: "unreachable" } });
    expect(files()).toHaveLength(1);
  });
});

describe("a key that is given", () => {
  test("is believed instead of the server's word", async () => {
    expect(await pinned("--key", log.signer.vkey)).toMatchObject({ trust: "given", vkey: log.signer.vkey });
    log.grow(1);
    expect(await pinned()).toMatchObject({ trust: "given", size: 11 });
  });

  test("makes something of a pin that stood on the server's word", async () => {
    await pinned();
    expect(await pinned("--key", log.signer.vkey)).toMatchObject({ trust: "given" });
  });

  test("that is not the log's: refused at first sight", async () => {
    await refused(pin("--key", new TestLog().signer.vkey));
    expect(files()).toEqual([]);
  });

  test("for a new key: taken over when the history is the same, and not when it is another", async () => {
    await pinned();
    const rewritten = new TestLog(ed25519Signer(log.signer.name, newLogKey())).grow(9).grow(3, "other");
    log = rewritten;
    await refused(pin("--key", rewritten.signer.vkey));
    log = new TestLog(rewritten.signer).grow(12);
    expect(await pinned("--key", rewritten.signer.vkey)).toMatchObject({ size: 12, vkey: rewritten.signer.vkey });
    log.grow(1);
    expect(await pinned()).toMatchObject({ size: 13 });
  });

  test("while another command is asking with the old one: that one asks again, and the new key stays", async () => {
    await pinned();
    const next = ed25519Signer("new.example", newLogKey());
    const both = (): string => {
      const text = `${log.checkpoint().split("\n\n")[0]}\n`;
      return addSignatures(log.checkpoint(), signatureLine(next, text));
    };
    shown = async (_, response) => {
      const old = log.grow(1).checkpoint();
      shown = (__, other) => void other.end(both());
      await pinned("--key", next.vkey);
      log.grow(1);
      response.end(old);
    };
    expect(await pinned()).toMatchObject({ size: 12, vkey: next.vkey, trust: "given" });
    expect(stored().vkey).toBe(next.vkey);
  });

  test("that is no key is a mistake of the command line", async () => {
    expect(await pin("--key", "nonsense")).toMatchObject({ code: 3 });
    expect(await pin("--key", log.signer.vkey, "--forget")).toMatchObject({ code: 3 });
  });
});

describe("the pin file", () => {
  test("damaged, or open to others: an error, never a first sight", async () => {
    await pinned();
    chmodSync(pinPath(), 0o644);
    expect(await pin()).toMatchObject({ code: 78 });
    chmodSync(pinPath(), 0o600);
    for (const text of ["", "{", "{}", '{"v":2}']) {
      writeFileSync(pinPath(), text);
      expect(await pin()).toMatchObject({ code: 78 });
    }
  });

  test("changed by hand: its own signature is checked again", async () => {
    await pinned();
    const pinText = readFileSync(pinPath(), "utf8");
    writeFileSync(pinPath(), pinText.replace("\\n10\\n", "\\n11\\n"));
    await refused();
  });

  test("can be forgotten on purpose, with what contradicted it", async () => {
    await pinned();
    log = new TestLog(log.signer).grow(3);
    await refused();
    expect(await pinned("--forget")).toEqual({ server: gateway.url, forgotten: true });
    expect(files()).toEqual([]);
    expect(await pinned("--forget")).toEqual({ server: gateway.url, forgotten: false });
    expect(await pinned()).toMatchObject({ size: 3, trust: "first_use" });
  });

  test("is one for each server", async () => {
    await pinned();
    const other = await Gateway.start({ discovery: { log: log.announced }, routes: logRoutes(() => yesterday()) });
    try {
      log.grow(5);
      await pinned();
      const elsewhere = { HOOPISH_TOKEN: "t", HOOPISH_SERVER: other.url };
      expect(await runCli(["audit", "pin", "--json"], { env: elsewhere, configDir })).toMatchObject({ code: 0 });
      expect(files()).toHaveLength(2);
    } finally {
      await other.close();
    }
  });
});

describe("checkPin", () => {
  const whole = new TestLog().grow(20);
  const key = parseVkey(whole.signer.vkey);
  const seen = (of: TestLog, size: number) => openSeen(of.checkpoint(size), key);

  test("takes any growth, and no rewriting of what was pinned, wherever it is", async () => {
    for (let to = 1; to <= 16; to++) {
      for (let from = 1; from <= to; from++) {
        await checkPin(seen(whole, from), seen(whole, to), async (x, y) => whole.consistency(x, y));
        for (let at = 0; at < from; at++) {
          const rewritten = new TestLog(whole.signer)
            .grow(at)
            .append("other")
            .grow(to - at - 1);
          const check = checkPin(seen(whole, from), seen(rewritten, to), async (x, y) => rewritten.consistency(x, y));
          await expect(check).rejects.toMatchObject({ code: "log_inconsistent" });
        }
      }
    }
  });

  test("takes an older checkpoint only when it was told that the pin has moved", async () => {
    const fetch = async (x: number, y: number): Promise<Buffer[]> => whole.consistency(x, y);
    await checkPin(seen(whole, 20), seen(whole, 15), fetch, "backwards");
    await expect(checkPin(seen(whole, 20), seen(whole, 15), fetch)).rejects.toThrow("went back");
    const other = new TestLog(whole.signer).grow(14).append("other");
    await expect(checkPin(seen(whole, 20), seen(other, 15), fetch, "backwards")).rejects.toThrow("do not begin");
  });
});
