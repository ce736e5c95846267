import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { methodsIn, startReflectionServer } from "@hoopish/fixtures";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadOrCreateAgentKey } from "../agent-key.ts";
import { send, until } from "../testing/call.ts";
import { startGateway, type TestGateway } from "../testing/gateway.ts";
import { httpUpstream } from "../testing/upstreams.ts";
import { run } from "./run.ts";
import type { World } from "./world.ts";

let folder: string;
const closing: (() => unknown)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "agent-cli-"));
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  rmSync(folder, { recursive: true });
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
async function cli(argv: readonly string[], world: Partial<World> = {}): Promise<Ran> {
  const written = { out: "", err: "" };
  const into = (name: "out" | "err"): Writable =>
    new Writable({
      write(chunk, _, done) {
        written[name] += chunk;
        done();
      },
    });
  const stdin = Readable.from([]);
  const { signal } = new AbortController();
  const code = await run(argv, {
    env: {},
    stdin,
    stdout: into("out"),
    stderr: into("err"),
    interrupted: signal,
    ...world,
  });
  return { code, ...written };
}
async function gatewayFor(): Promise<TestGateway> {
  const gateway = await startGateway();
  closing.push(gateway.close);
  return gateway;
}
function write(name: string, content: string): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

describe("init and check", () => {
  it("init writes what check accepts, and never over a file", async () => {
    const config = join(folder, "agent.yaml");
    expect(await cli(["init", "--config", config])).toMatchObject({ code: 0, err: "" });
    const before = readFileSync(config, "utf8");
    const again = await cli(["init", "--config", config]);
    expect(again).toMatchObject({ code: 1, out: "" });
    expect(again.err).toContain("exists and is left as it is\n  try: name another");
    expect(readFileSync(config, "utf8")).toBe(before);
    const checked = await cli(["check", "--config", config, "--json"], { env: { MODEL_X_KEY: "k" } });
    expect(JSON.parse(checked.out)).toEqual({
      ok: true,
      file: config,
      name: "edge-1",
      connections: ["model-x"],
      joined: false,
    });
  });

  it("check names every mistake with its line and column, and ends with 78", async () => {
    const config = write("bad.yaml", "server: nowhere\nname: edge-1\nkeyFile: k\nconnections: []\n");
    const plain = await cli(["check", "--config", config]);
    expect(plain).toEqual({
      code: 78,
      out: "",
      err:
        `${config}:1:9: server: not a server address; write wss://gateway.bank.example\n` +
        `${config}:4:14: connections: must have at least one entry\n`,
    });
    const asJson = await cli(["check", "--config", config, "--json"]);
    expect(asJson.code).toBe(78);
    expect(JSON.parse(asJson.out)).toMatchObject({
      ok: false,
      mistakes: [
        { line: 1, column: 9 },
        { line: 4, column: 14 },
      ],
    });
    expect(JSON.parse(asJson.err)).toMatchObject({ error: { code: "configuration" }, mistakes: { length: 2 } });
  });
});

describe("join", () => {
  const configFor = (gateway: TestGateway): string =>
    write("agent.yaml", `server: ${gateway.url}\nname: edge-1\nkeyFile: agent.key\nconnections: later\n`);

  it("takes the token from stdin, a file or an option", async () => {
    const gateway = await gatewayFor();
    const config = configFor(gateway);
    const token = "one-time-token-0123456789";
    for (const [argv, stdin] of [
      [[], Readable.from([`${token}\n`])],
      [["--token-file", write("token", `${token}\n`)], Readable.from([])],
      [["--token", token], Readable.from([])],
    ] as const) {
      gateway.tokens.set(token, "edge-1");
      const { code, out } = await cli(["join", "--config", config, "--json", ...argv], { stdin });
      expect(code).toBe(0);
      expect(JSON.parse(out)).toMatchObject({ agent: expect.stringMatching(/^agt_/), name: "edge-1" });
    }
    expect(existsSync(join(folder, "agent.key"))).toBe(true);
  });

  it("says what is wrong: no token, a bad one, no server", async () => {
    const gateway = await gatewayFor();
    const config = configFor(gateway);
    const stdin = Object.assign(Readable.from([]), { isTTY: true });
    expect(await cli(["join", "--config", config], { stdin })).toMatchObject({ code: 3 });
    expect(await cli(["join", "--config", config])).toMatchObject({
      code: 3,
      err: "hoopish-agent: the token is empty\n",
    });
    expect(await cli(["join", "--config", config, "--token", "not-the-right-token-at-all"])).toMatchObject({
      code: 4,
      err: "hoopish-agent: the token is not good\n  try: ask for a new one\n",
    });
    const nowhere = write("nowhere.yaml", "server: ws://127.0.0.1:1\nname: edge-1\nkeyFile: k\n");
    expect(await cli(["join", "--config", nowhere, "--token", "t".repeat(20)])).toMatchObject({ code: 7 });
  });
});

describe("start", () => {
  const configFor = (gateway: TestGateway, target: string): string => {
    gateway.keys.add(loadOrCreateAgentKey(join(folder, "agent.key")).key.publicKey);
    const connection = `  - name: model\n    target: ${target}\n    credential: { header: x-key, value: "\${env:KEY}" }\n`;
    return write("agent.yaml", `server: ${gateway.url}\nname: edge-1\nkeyFile: agent.key\nconnections:\n${connection}`);
  };

  it("serves until it is interrupted, lets calls finish, and ends with 0", async () => {
    const upstream = await httpUpstream((_, response) => void setTimeout(() => response.end("finished"), 200));
    closing.push(upstream.close);
    const gateway = await gatewayFor();
    const config = configFor(gateway, upstream.url);
    const main = fileURLToPath(new URL("../main.ts", import.meta.url));
    const argv = ["--conditions=@hoopish/source", main, "start", "--config", config, "--json"];
    const child = spawn(process.execPath, argv, { env: { ...process.env, KEY: "the-secret-key" } });
    closing.push(() => child.kill("SIGKILL"));
    const [out, err] = [text(child.stdout), text(child.stderr)];
    const exited = once(child, "exit");
    const call = send(await gateway.tunnel());
    await until("the call is out", () => upstream.accepted() === 1);
    child.kill("SIGTERM");
    expect((await call).body.toString()).toBe("finished");
    expect(await exited).toEqual([0, null]);
    const events = (await out)
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events.map(({ event }) => event)).toEqual(["started", "connecting", "connected", "stopped"]);
    const logged = (await err)
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(logged.map(({ level, msg }) => [level, msg])).toContainEqual(["info", "connected to the server"]);
    expect(`${await out}${await err}`).not.toContain("the-secret-key");
  }, 30_000);

  it("with --exit-on-refusal ends with the refusal's own code", async () => {
    const gateway = await gatewayFor();
    const config = configFor(gateway, "http://127.0.0.1:1");
    gateway.refuseWith = 403;
    const argv = ["start", "--config", config, "--exit-on-refusal", "--json"];
    const { code, err } = await cli(argv, { env: { KEY: "k" } });
    expect(code).toBe(5);
    expect(JSON.parse(err.trim().split("\n").at(-1) ?? "")).toEqual({
      error: { code: "access_denied", message: "revoked" },
    });
  });

  it("without a key says how to get one, and ends with 78", async () => {
    const gateway = await gatewayFor();
    const config = configFor(gateway, "http://127.0.0.1:1");
    rmSync(join(folder, "agent.key"));
    const { code, err } = await cli(["start", "--config", config], { env: { KEY: "k" } });
    expect([code, err]).toEqual([
      78,
      `hoopish-agent: there is no key at ${join(folder, "agent.key")}\n  try: hoopish-agent join makes one\n`,
    ]);
  });
});

describe("describe", () => {
  const METHODS = ["/bank.ledger.Audit/Last", "/bank.ledger.Ledger/Find", "/bank.ledger.Ledger/Watch"];
  async function configFor(versions?: readonly "v1"[]): Promise<string> {
    const server = await startReflectionServer({
      token: "the-secret-key",
      ...(versions === undefined ? {} : { versions }),
    });
    closing.push(server.close);
    const credential = 'credential: { header: Authorization, value: "Bearer the-secret-key" }';
    return write(
      "agent.yaml",
      `server: ws://127.0.0.1:1\nname: edge-1\nkeyFile: k\nconnections:\n` +
        `  - { name: ledger, target: "${server.url}", ${credential} }\n  - { name: web, target: "http://127.0.0.1:1" }\n`,
    );
  }

  it("writes the set, says what it found, and what to do with it", async () => {
    const config = await configFor();
    const out = join(folder, "ledger.binpb");
    expect(await cli(["describe", "ledger", "--config", config, "--out", out])).toEqual({
      code: 0,
      out: "",
      err: `ledger: 2 services in 2 files
  bank.ledger.Audit: 1 method
  bank.ledger.Ledger: 2 methods
look whether this is what you expect; then copy the file beside server.yaml, and add to connection ledger there:
    descriptors: [ledger.binpb]
`,
    });
    expect(methodsIn(readFileSync(out))).toEqual(METHODS);
    expect(statSync(out).mode & 0o777).toBe(0o644 & ~process.umask());
  });

  it("writes over a file only with --force", async () => {
    const config = await configFor();
    const out = write("old.binpb", "old");
    const refused = await cli(["describe", "ledger", "--config", config, "--out", out]);
    expect(refused).toMatchObject({ code: 1, out: "" });
    expect(refused.err).toBe(`hoopish-agent: ${out} exists and is left as it is\n  try: name another, or --force\n`);
    expect(readFileSync(out, "utf8")).toBe("old");
    const forced = await cli(["describe", "ledger", "--config", config, "--out", out, "--force", "--json"]);
    expect(JSON.parse(forced.out)).toMatchObject({
      connection: "ledger",
      file: out,
      files: 2,
      services: { length: 2 },
    });
    expect(methodsIn(readFileSync(out))).toEqual(METHODS);
  });

  it("writes to standard output, and nothing else there", async () => {
    const config = await configFor();
    const chunks: Buffer[] = [];
    const stdout = new Writable({
      write(chunk, _, done) {
        chunks.push(chunk);
        done();
      },
    });
    const { code, err } = await cli(["describe", "ledger", "--config", config, "--out", "-"], { stdout });
    expect([code, methodsIn(Buffer.concat(chunks))]).toEqual([0, METHODS]);
    expect(err).toContain("descriptors: [FILE]");
  });

  it("says what is wrong, and leaves no file", async () => {
    const config = await configFor([]);
    const out = join(folder, "none.binpb");
    const asked = (name: string): Promise<Ran> => cli(["describe", name, "--config", config, "--out", out]);
    expect(await asked("nope")).toMatchObject({
      code: 1,
      err: "hoopish-agent: there is no connection nope\n  try: one of ledger, web\n",
    });
    expect(await asked("web")).toMatchObject({
      code: 3,
      err: "hoopish-agent: connection web is one of http: only gRPC has descriptors\n",
    });
    const { code, err } = await asked("ledger");
    expect([code, err]).toEqual([1, expect.stringContaining("the model server has no reflection\n  try: protoc ")]);
    expect(existsSync(out)).toBe(false);
    expect(await cli(["describe", "ledger", "--config", config])).toMatchObject({ code: 3 });
    const nowhere = await cli(["describe", "ledger", "--config", await configFor(), "--out", join(folder, "no", "x")]);
    expect(nowhere).toMatchObject({ code: 78, err: expect.stringContaining("cannot be written (ENOENT)") });
  });
});

describe("the command line", () => {
  it("is 3 for bad usage, 0 for help and version", async () => {
    for (const argv of [["nonsense"], ["start", "--nonsense"], ["check", "--config"], []]) {
      expect([argv, (await cli(argv)).code]).toEqual([argv, 3]);
    }
    for (const argv of [["--help"], ["join", "--help"], ["--version"]]) expect((await cli(argv)).code).toBe(0);
    for (const name of ["start", "check", "init", "join"]) {
      expect((await cli([name, "--help"])).out).toContain(`Example: hoopish-agent ${name} --config`);
    }
    expect((await cli(["describe", "--help"])).out).toContain("Example: hoopish-agent describe scores --config");
  });

  it("says so on a Node that is too old", async () => {
    const bin = new URL("../../bin/hoopish-agent.mjs", import.meta.url);
    // An older Node is not at hand everywhere; one that calls itself older is.
    const script = `Object.defineProperty(process.versions, "node", { value: "20.20.2" }); await import("${bin}");`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
    const [err, [code]] = await Promise.all([text(child.stderr), once(child, "exit")]);
    expect([code, err]).toEqual([78, "hoopish-agent needs Node 24 or newer; this is Node 20.20.2\n"]);
  });
});
