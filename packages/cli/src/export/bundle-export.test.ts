import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { GZIP_HEADER, gzipSeal, SealCheck } from "@hoopish/protocol/bundle";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { Gateway, type Route, sendError } from "../testing/gateway.ts";
import { createWorld, type Finished, runCli, tempDir } from "../testing/world.ts";
import { download } from "./download.ts";

const INDEX = 41;
/** Ends as a bundle does; what is in it is the verifier's business. */
const BUNDLE = (() => {
  const packed = Buffer.concat([GZIP_HEADER, randomBytes(3_000_000)]);
  return Buffer.concat([packed, gzipSeal(createHash("sha256").update(packed).digest())]);
})();

let gateway: Gateway;
let answer: Route;
let dir: string;
let file: string;

beforeEach(async () => {
  dir = tempDir();
  file = join(dir, "ev.tar.gz");
  answer = give(Number.POSITIVE_INFINITY);
  gateway = await Gateway.start({ routes: { "GET /api/v1/audit/export": (...call) => answer(...call) } });
});
afterEach(() => gateway.close());

/** Gives so many bytes from the offset that was asked for, then breaks off. */
function give(most: number, bundle = BUNDLE): Route {
  return (_request, response, url) => {
    response.setHeader("hoopish-export", String(INDEX));
    const rest = bundle.subarray(Number(url.searchParams.get("offset") ?? 0));
    if (rest.length <= most) response.end(rest);
    else response.write(rest.subarray(0, most), () => setTimeout(() => response.destroy(), 50));
  };
}
/** The first call gets the first answer, and so on; the last one stays. */
function inTurn(...routes: readonly Route[]): Route {
  let next = 0;
  return (...call) => (routes[next++] ?? (routes.at(-1) as Route))(...call);
}
const refuse = (response: ServerResponse): void => sendError(response, "not_found", "there is no such export of yours");

const env = (): Record<string, string> => ({ HOOPISH_TOKEN: "t", HOOPISH_SERVER: gateway.url });
const begin = (...more: string[]): Promise<Finished> =>
  runCli(["audit", "export", "--since", "1h", "-o", file, ...more], { env: env() });
const goOn = (...more: string[]): Promise<Finished> =>
  runCli(["audit", "export", "--resume", "-o", file, ...more], { env: env() });
const asked = (): string[] =>
  gateway.requests
    .filter(({ path }) => path.startsWith("/api/v1/audit/export"))
    .map(({ path }) => path.split("?")[1] ?? "");
const files = (): string[] => readdirSync(dir).sort();
/** Cut off for good: what a later command finds. */
async function cutOff(): Promise<void> {
  answer = inTurn(give(1_000_000), (_, response) => refuse(response));
  expect((await begin()).code).toBe(1);
  expect(files()).toEqual(["ev.tar.gz.part", "ev.tar.gz.part.json"]);
}

describe("a bundle", () => {
  it("is what a name in .tar.gz asks for, with its bodies; the command to verify it is told, without a key", async () => {
    const { code, stdout } = await begin();
    expect(code).toBe(0);
    expect(readFileSync(file).equals(BUNDLE)).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(files()).toEqual(["ev.tar.gz"]);
    expect(asked()).toEqual([expect.stringMatching(/&format=bundle&payloads=true$/)]);
    expect(stdout).toContain(`hoopish audit verify ${file} --key VKEY`);
    expect(stdout).toContain("somewhere else than this server");
    expect(JSON.parse((await begin("--force", "--json")).stdout)).toEqual({
      file,
      format: "bundle",
      bytes: BUNDLE.length,
      index: INDEX,
      verify: `hoopish audit verify ${file} --key VKEY`,
    });
  });

  it("may be without bodies, or with those of some calls", async () => {
    expect((await begin("--no-payloads")).code).toBe(0);
    const some = ["--force", "--user", "a@b", "--connection", "chat", "--session", `ses_${"1".repeat(32)}`];
    expect((await begin(...some)).code).toBe(0);
    expect(asked()[0]).toMatch(/&payloads=false$/);
    expect(asked()[1]).toMatch(/&payloads=true&user=a%40b&connection=chat&session=ses_1{32}$/);
  });

  it("goes on by itself where the connection broke", async () => {
    answer = inTurn(give(1_000_000), give(500_000), give(Number.POSITIVE_INFINITY));
    const { code, stderr } = await begin();
    expect(code).toBe(0);
    expect(readFileSync(file).equals(BUNDLE)).toBe(true);
    // A broken connection may lose the last of what was sent: never more is asked for than what is not there.
    const offsets = asked()
      .slice(1)
      .map((query) => Number(query.replace(`format=bundle&resume=${INDEX}&offset=`, "")));
    expect(offsets).toEqual([expect.any(Number), expect.any(Number)]);
    const [first = 0, second = 0] = offsets;
    expect(first).toBeLessThanOrEqual(1_000_000);
    expect(second - first).toBeLessThanOrEqual(500_000);
    expect(stderr.match(/The connection broke after/g)).toHaveLength(2);
  });

  it("goes on to stdout too, and says by its exit code that it is whole", async () => {
    answer = inTurn(give(1_000_000), give(Number.POSITIVE_INFINITY));
    const stdout = Object.assign(new PassThrough(), { isTTY: false });
    const chunks: Buffer[] = [];
    stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    const world = createWorld({ env: env(), stdout });
    expect(await run(world, ["audit", "export", "--since", "1h", "--format", "bundle"])).toBe(0);
    expect(Buffer.concat(chunks).equals(BUNDLE)).toBe(true);
    answer = give(Number.POSITIVE_INFINITY, BUNDLE.subarray(0, -1));
    expect(await run(createWorld({ env: env() }), ["audit", "export", "--since", "1h", "--format", "bundle"])).toBe(1);
  });
});

describe("a bundle that was cut off", () => {
  it("is gone on with later", async () => {
    await cutOff();
    const state = statSync(`${file}.part.json`);
    expect(state.mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(`${file}.part.json`, "utf8"))).toEqual({ v: 1, server: gateway.url, index: INDEX });
    answer = give(Number.POSITIVE_INFINITY);
    const { code, stdout } = await goOn();
    expect(code).toBe(0);
    expect(readFileSync(file).equals(BUNDLE)).toBe(true);
    expect(files()).toEqual(["ev.tar.gz"]);
    expect(stdout).toContain("hoopish audit verify");
  });

  it("is left as it is by SIGINT, which says how to go on", async () => {
    answer = (_request, response) => {
      response.setHeader("hoopish-export", String(INDEX));
      response.write(BUNDLE.subarray(0, 200_000));
    };
    const world = createWorld({ env: env() });
    const done = run(world, ["audit", "export", "--since", "1h", "-o", file]);
    await expect.poll(() => existsSync(`${file}.part`) && statSync(`${file}.part`).size).toBe(200_000);
    world.signal("SIGINT");
    expect(await done).toBe(130);
    expect(world.stderr.text).toContain(`hoopish audit export --resume -o ${file}`);
    answer = give(Number.POSITIVE_INFINITY);
    expect((await goOn()).code).toBe(0);
    expect(readFileSync(file).equals(BUNDLE)).toBe(true);
  });

  it("is not taken for whole when its parts are of two makings", async () => {
    await cutOff();
    const other = Buffer.concat([GZIP_HEADER, randomBytes(3_000_000)]);
    answer = give(
      Number.POSITIVE_INFINITY,
      Buffer.concat([other, gzipSeal(createHash("sha256").update(other).digest())]),
    );
    const { code, stderr } = await goOn();
    expect(code).toBe(1);
    expect(stderr).toContain("not one whole bundle");
    expect(existsSync(file)).toBe(false);
  });

  it("is gone on with by one command at a time, and at its own server", async () => {
    await cutOff();
    writeFileSync(
      `${file}.part.lock`,
      JSON.stringify({ id: "0".repeat(16), pid: process.pid, host: createWorld().host }),
    );
    const held = await goOn();
    expect([held.code, held.stderr]).toEqual([1, expect.stringContaining("another hoopish command")]);
    expect((await begin()).code).toBe(1);
    const dead = { id: "0".repeat(16), pid: 2 ** 30, host: createWorld().host };
    writeFileSync(`${file}.part.lock`, JSON.stringify(dead));
    const elsewhere = await runCli(["audit", "export", "--resume", "-o", file, "--json"], {
      env: { ...env(), HOOPISH_SERVER: gateway.url.replace("127.0.0.1", "localhost") },
    });
    expect(JSON.parse(elsewhere.stderr).error.message).toContain(`this export is of ${gateway.url}`);
    answer = give(Number.POSITIVE_INFINITY);
    expect((await goOn()).code).toBe(0);
  });

  it.each<readonly [string, () => void, string]>([
    ["a state that others can read", () => chmodSync(`${file}.part.json`, 0o644), "can be read by other users"],
    [
      "a state that says something else",
      () => writeFileSync(`${file}.part.json`, '{"v":1,"server":"x"}'),
      "is damaged",
    ],
    ["a part that others can write", () => chmodSync(`${file}.part`, 0o622), "only you can write"],
    ["a part with a second name", () => linkSync(`${file}.part`, join(dir, "other")), "only you can write"],
  ])("is not gone on with: %s", async (_, damage, message) => {
    await cutOff();
    damage();
    const before = asked().length;
    const { code, stderr } = await goOn();
    expect(code).not.toBe(0);
    expect(stderr).toContain(message);
    expect(asked()).toHaveLength(before);
  });

  it("is not looked for behind a link, nor where there is none", async () => {
    expect((await goOn()).stderr).toContain("is not there");
    const elsewhere = join(tempDir(), "x");
    writeFileSync(elsewhere, `{"v":1,"server":"${gateway.url}","index":1}`, { mode: 0o600 });
    symlinkSync(elsewhere, `${file}.part.json`);
    const linked = await goOn();
    expect([linked.code, linked.stderr]).toEqual([78, expect.stringContaining("is a link")]);
    expect(asked()).toEqual([]);
  });

  it("makes way for a new one only by --force", async () => {
    await cutOff();
    answer = give(Number.POSITIVE_INFINITY);
    const { code, stderr } = await begin();
    expect([code, stderr]).toEqual([1, expect.stringContaining("--resume")]);
    expect((await begin("--force")).code).toBe(0);
    expect(files()).toEqual(["ev.tar.gz"]);
  });
});

describe("download", () => {
  const sink = () => {
    const chunks: Uint8Array[] = [];
    return {
      chunks,
      get bytes() {
        return chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
      },
      write: async (bytes: Uint8Array) => void chunks.push(bytes),
    };
  };
  async function* broken(bytes: Buffer): AsyncGenerator<Buffer> {
    if (bytes.length > 0) yield bytes;
    throw Object.assign(new Error("other side closed"), { code: "UND_ERR_SOCKET" });
  }

  it("gives up after some tries in vain, with longer and longer pauses; each byte gives it new ones", async () => {
    const to = sink();
    const waits: number[] = [];
    let opened = 0;
    const ports = {
      sink: to,
      seal: new SealCheck(),
      signal: new AbortController().signal,
      firstPauseMs: 0.01,
      onBreak: ({ waitMs }: { waitMs: number }) => void waits.push(waitMs),
      // Something comes the third time only.
      open: async () => broken(++opened === 2 ? Buffer.alloc(10) : Buffer.alloc(0)),
    };
    await expect(download(broken(Buffer.alloc(5)), ports)).rejects.toMatchObject({ code: "unreachable" });
    expect(to.bytes).toBe(15);
    expect(waits).toHaveLength(2 + 8);
    expect(waits.at(-1)).toBeGreaterThan(10 * (waits[2] as number));
  });

  it("does not stay for ever with a server that cuts after every byte", async () => {
    let breaks = 0;
    const ports = {
      sink: sink(),
      seal: new SealCheck(),
      signal: new AbortController().signal,
      firstPauseMs: 0.01,
      onBreak: () => {
        breaks += 1;
      },
      open: async () => broken(Buffer.alloc(1)),
    };
    await expect(download(undefined, ports)).rejects.toMatchObject({ code: "unreachable" });
    expect(breaks).toBe(200);
  });
});
