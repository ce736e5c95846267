import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { createServer, connect as netConnect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { CLI_CLIENT_ID, startIdp } from "@hoopish/fixtures";
import { TunnelErrorCode } from "@hoopish/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ReadyEvent } from "../connect/events.ts";
import { run } from "../run.ts";
import { Gateway, type GatewayOptions } from "../testing/gateway.ts";
import { createWorld, type TestWorld, tempDir } from "../testing/world.ts";

let gateway: Gateway;
const running: { world: TestWorld; done: Promise<number> }[] = [];

beforeEach(async () => {
  gateway = await Gateway.start();
});
afterEach(async () => {
  for (const { world, done } of running.splice(0)) {
    world.signal("SIGTERM");
    await done;
  }
  await gateway.close();
});

async function restartGateway(options: GatewayOptions): Promise<void> {
  await gateway.close();
  gateway = await Gateway.start(options);
}

function start(argv: readonly string[], env: Record<string, string> = {}, tty = false) {
  const world = createWorld({ env: { HOOPISH_SERVER: gateway.url, HOOPISH_TOKEN: "t", ...env }, tty });
  const done = run(world, ["connect", ...argv]);
  running.push({ world, done });
  return { world, done };
}

async function ready(argv: readonly string[] = [], env: Record<string, string> = {}) {
  const started = start(["model-x", "--json", "--port", "0", ...argv], env);
  const event = await started.world.stdout.event<ReadyEvent>(({ event }) => event === "ready");
  return { ...started, ready: event };
}

/** Speaks raw bytes to the local port; resolves with all that came back and how it ended. */
function raw(
  port: number,
  text: string,
  end = false,
): { socket: Socket; over: Promise<{ text: string; reset: boolean }> } {
  const socket = netConnect(port, "127.0.0.1");
  let got = "";
  let reset = false;
  socket.on("data", (chunk) => {
    got += chunk.toString("latin1");
  });
  socket.on("error", () => {
    reset = true;
  });
  socket.write(text);
  if (end) socket.end();
  const over = new Promise<{ text: string; reset: boolean }>((resolve) => {
    socket.on("close", () => resolve({ text: got, reset }));
  });
  return { socket, over };
}

const head = (port: number, ...lines: string[]): string =>
  [`GET /v1/models HTTP/1.1`, `Host: 127.0.0.1:${port}`, ...lines, "", ""].join("\r\n");

describe("connect", () => {
  it("opens a session, says how to use it, and carries calls", async () => {
    const { ready: event } = await ready(["--reason", "Q3", "--ticket", "T-1"]);
    expect(event).toMatchObject({ connection: "model-x", api: "openai", url: `http://127.0.0.1:${event.port}/v1` });
    expect(event.env).toEqual({
      HOOPISH_URL: `http://127.0.0.1:${event.port}`,
      HOOPISH_URL_MODEL_X: `http://127.0.0.1:${event.port}`,
      OPENAI_BASE_URL: `http://127.0.0.1:${event.port}/v1`,
      OPENAI_API_KEY: "hoopish",
    });
    expect(gateway.session.open).toMatchObject({ connection: "model-x", reason: "Q3", ticket: "T-1" });
    const answer = await fetch(`${event.url}/models`);
    expect(await answer.json()).toEqual({ path: "/v1/models", method: "GET" });
  });

  it("keeps one port for a connection, and says when it is taken", async () => {
    const configDir = tempDir();
    const first = start(["model-x", "--json"], { HOOPISH_CONFIG_DIR: configDir });
    const { port } = await first.world.stdout.event<ReadyEvent>(({ event }) => event === "ready");
    const second = start(["model-x", "--json"], { HOOPISH_CONFIG_DIR: configDir });
    expect(await second.done).toBe(1);
    expect(JSON.parse(second.world.stderr.text).error).toMatchObject({
      code: "conflict",
      message: expect.stringContaining(`${port}`),
      hint: expect.stringContaining("--port 0"),
    });
    first.world.signal("SIGINT");
    await first.done;
    const third = start(["model-x", "--json"], { HOOPISH_CONFIG_DIR: configDir });
    expect((await third.world.stdout.event<ReadyEvent>(({ event }) => event === "ready")).port).toBe(port);
  });

  it("opens several names on ports that follow each other", async () => {
    const free = createServer().listen(0, "127.0.0.1");
    await once(free, "listening");
    const port = (free.address() as { port: number }).port;
    free.close();
    const { world } = start(["a", "b", "--json", "--port", String(port)]);
    const a = await world.stdout.event<ReadyEvent>((e) => e.connection === "a");
    const b = await world.stdout.event<ReadyEvent>((e) => e.connection === "b");
    expect([a.port, b.port]).toEqual([port, port + 1]);
  });

  it("closes its sessions on SIGINT and exits with 130", async () => {
    const { world, done } = await ready();
    world.signal("SIGINT");
    expect(await done).toBe(130);
    expect(gateway.session.ended).toBe(true);
    expect(world.stdout.lines.at(-1)).toContain('"event":"closed"');
  });

  it.each([
    ["access_denied", 5],
    ["not_found", 1],
    ["unauthenticated", 4],
  ] as const)("exits at once when the server refuses with %s", async (code, exit) => {
    await restartGateway({ refuse: () => ({ code, message: "no", hint: "ask" }) });
    const { world, done } = start(["model-x", "--port", "0"]);
    expect(await done).toBe(exit);
    expect(world.stderr.text).toBe("hoopish: no\n  try: ask\n");
  });

  it("exits with 7 when nothing listens at the server's address, and with 4 when the token is refused", async () => {
    const dead = start(["model-x", "--port", "0"], { HOOPISH_SERVER: "http://127.0.0.1:9" });
    expect(await dead.done).toBe(7);
    await restartGateway({ accepts: () => false });
    const refused = start(["model-x", "--port", "0"]);
    expect(await refused.done).toBe(4);
    expect(refused.world.stderr.text).toContain("hoopish login");
  });

  it("tells calls, and ends with 5 when the server revokes the session", async () => {
    const { world, done, ready: event } = await ready();
    gateway.session.send({
      event: "call",
      call: `call_${"0".repeat(32)}` as never,
      time: "2026-11-23T08:00:00.000Z",
      method: "POST",
      path: "/v1/chat\u001b[2J",
      kind: "chat",
      verdict: "allow",
      status: 200,
      durationMs: 12,
      bytes: { request: 1, delivered: 2 },
      outcome: "complete",
    });
    await world.stdout.event((e) => e.event === "call" && e.connection === "model-x");
    expect(world.stdout.text).not.toContain("\u001b");
    gateway.session.send({ event: "revoked", code: "session_closed", reason: "killed by platform@bank.example" });
    gateway.session.stream.end();
    expect(await done).toBe(5);
    expect(world.stdout.lines.map((line) => JSON.parse(line).event)).toEqual(["ready", "call", "revoked", "closed"]);
    await expect(fetch(event.url)).rejects.toThrow();
  });

  it("prints plain lines where there is no terminal", async () => {
    const { world } = start(["model-x", "--port", "0"]);
    await expect.poll(() => world.stdout.text).toContain("export OPENAI_BASE_URL=http://127.0.0.1:");
    expect(world.stdout.text).toMatch(/^model-x is at http:\/\/127\.0\.0\.1:\d+\/v1 until .* \(ses_/);
  });

  it("shows a live view on a terminal, and gives the terminal back", async () => {
    const { world, done } = start(["model-x", "--port", "0"], { TERM: "xterm" }, true);
    await expect.poll(() => world.stdout.text, { timeout: 5_000 }).toContain("model-x http://127.0.0.1:");
    world.signal("SIGINT");
    expect(await done).toBe(130);
    expect(world.stdout.text).toContain("\u001b[?25h");
  });
});

describe("the local port", () => {
  it("refuses what browsers of other origins send, in JSON, and closes", async () => {
    const { ready: event } = await ready();
    const { text } = await raw(event.port, head(event.port, "Origin: https://evil.example")).over;
    expect(text).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
    expect(JSON.parse(text.split("\r\n\r\n")[1] ?? "")).toMatchObject({ error: { code: "access_denied" } });
    expect(gateway.session.stream.state).toBe("open");
  });

  it("with --require-key lets in only who has it", async () => {
    const { ready: event } = await ready(["--require-key"]);
    const key = event.env.OPENAI_API_KEY ?? "";
    expect(key).toMatch(/^hoopish_/);
    expect((await fetch(`${event.url}/models`)).status).toBe(401);
    expect((await fetch(`${event.url}/models`, { headers: { authorization: `Bearer ${key}` } })).status).toBe(200);
  });

  it("answers a client that sends its whole request and half-closes", async () => {
    const { ready: event } = await ready();
    gateway.onTcp = (stream) => {
      stream.resume();
      stream.on("end", () => stream.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    };
    const { text, reset } = await raw(event.port, head(event.port), true).over;
    expect(text).toContain("\r\n\r\nok");
    expect(reset).toBe(false);
  });

  it("resets the connection when the stream breaks, so that half an answer is not taken for all of it", async () => {
    const { ready: event } = await ready();
    gateway.onTcp = (stream, tunnelStream) => {
      stream.resume();
      stream.write("HTTP/1.1 200 OK\r\n\r\nhalf");
      setTimeout(() => tunnelStream.reset(TunnelErrorCode.INTERNAL_ERROR), 50);
    };
    const { text, reset } = await raw(event.port, head(event.port)).over;
    expect(text).toContain("half");
    expect(reset).toBe(true);
  });

  it("cancels the stream when the client goes away in the middle", async () => {
    const { ready: event } = await ready();
    let cancelled: unknown;
    const opened = new Promise<void>((resolve) => {
      gateway.onTcp = (stream) => {
        stream.on("error", (error) => {
          cancelled = error;
        });
        stream.on("data", () => resolve());
      };
    });
    const { socket } = raw(event.port, head(event.port));
    await opened;
    socket.resetAndDestroy();
    await expect.poll(() => (cancelled as { code?: number })?.code).toBe(TunnelErrorCode.CANCEL);
  });

  it("carries 64 MiB both ways, whole", async () => {
    const { ready: event } = await ready();
    gateway.onTcp = (stream) => stream.pipe(stream);
    const size = 64 * 1024 * 1024;
    const chunk = Buffer.alloc(64 * 1024, 7);
    const socket = netConnect(event.port, "127.0.0.1");
    socket.write(head(event.port));
    let got = 0;
    socket.on("data", (data) => {
      got += data.length;
    });
    for (let sent = 0; sent < size; sent += chunk.length) {
      if (!socket.write(chunk)) await once(socket, "drain");
    }
    socket.end();
    await once(socket, "close");
    expect(got).toBe(size + head(event.port).length);
  });

  it("stops a client whose request nobody reads", async () => {
    const { ready: event } = await ready();
    gateway.onTcp = (stream) => void stream.pause();
    const socket = netConnect(event.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(head(event.port));
    const stuckAt = await writeUntilStuck((chunk) => socket.write(chunk), socket);
    // Kernel buffers, the tunnel's queue and the stream's first window: not a number that grows.
    expect(stuckAt).toBeLessThan(16 * 1024 * 1024);
    socket.destroy();
  });

  it("stops an answer that the client does not read", async () => {
    const { ready: event } = await ready();
    const stuckAt = new Promise<number>((resolve) => {
      gateway.onTcp = (stream) => {
        stream.resume();
        stream.on("error", () => {});
        writeUntilStuck((chunk) => stream.write(chunk), stream).then(resolve);
      };
    });
    const { socket } = raw(event.port, head(event.port));
    socket.pause();
    expect(await stuckAt).toBeLessThan(16 * 1024 * 1024);
    socket.destroy();
  });
});

/** Bytes that were taken until nothing more was for a third of a second. */
async function writeUntilStuck(write: (chunk: Buffer) => boolean, from: NodeJS.EventEmitter): Promise<number> {
  const chunk = Buffer.alloc(64 * 1024, 7);
  for (let sent = chunk.length; ; sent += chunk.length) {
    if (write(chunk)) continue;
    const moved = await Promise.race([
      once(from, "drain").then(
        () => true,
        () => true,
      ),
      sleep(333, false),
    ]);
    if (!moved || sent > 256 * 1024 * 1024) return sent;
  }
}

describe("a broken tunnel", () => {
  it("is dialled again; the port stays, the new session names the old one", async () => {
    const { world, ready: event } = await ready();
    const first = gateway.session.id;
    const open = raw(event.port, head(event.port, "Connection: keep-alive"));
    await once(open.socket, "data");
    gateway.cut();
    expect((await open.over).reset).toBe(true);
    await world.stdout.event((e) => e.event === "reconnecting");
    await world.stdout.event((e) => e.event === "ready" && e.session !== first);
    expect(gateway.session.open.previous).toBe(first);
    expect((await fetch(`${event.url}/models`)).status).toBe(200);
  });

  it("lets connections wait for the next tunnel", async () => {
    const { ready: event } = await ready();
    gateway.down = true;
    gateway.cut();
    await sleep(50);
    const answer = fetch(`${event.url}/models`);
    await sleep(200);
    gateway.down = false;
    expect((await answer).status).toBe(200);
  });

  it("moves to the next tunnel when the server drains, and does not cut what runs", async () => {
    const { world, ready: event } = await ready();
    const first = gateway.session;
    let finish: () => void = () => {};
    gateway.onTcp = (stream) => {
      stream.resume();
      stream.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha");
      finish = () => stream.end("lf");
    };
    const long = raw(event.port, head(event.port));
    await once(long.socket, "data");
    gateway.drain();
    await world.stdout.event((e) => e.event === "ready" && e.session !== first.id);
    expect(first.ended).toBe(false);
    finish();
    expect((await long.over).text).toContain("half");
    await expect.poll(() => first.ended).toBe(true);
  });
});

describe("the token", () => {
  const jwt = (seconds: number): string =>
    `e30.${Buffer.from(JSON.stringify({ exp: Math.floor(Date.now() / 1000) + seconds })).toString("base64url")}.s`;

  it("is renewed in-band from a token file that changes", async () => {
    const dir = tempDir();
    const file = `${dir}/token`;
    const { writeFile } = await import("node:fs/promises");
    await writeFile(file, jwt(30));
    const { world } = await ready([], { HOOPISH_TOKEN: "", HOOPISH_TOKEN_FILE: file });
    await world.stdout.event((e) => e.event === "sign_in_ending");
    const next = jwt(3600);
    await writeFile(file, next);
    await expect.poll(() => gateway.renewals, { timeout: 8_000 }).toEqual([next]);
  });

  it("ends the command with 4 when it ends and cannot be renewed", async () => {
    const { world, done } = await ready([], { HOOPISH_TOKEN: jwt(2) });
    await world.stdout.event((e) => e.event === "sign_in_ending");
    expect(await done).toBe(4);
  });
});

describe("a sign-in", () => {
  it("is renewed in-band again and again without cutting a stream; when it cannot be, the command ends with 4", async () => {
    const idp = await startIdp({ accessTokenTtlSeconds: 5, deviceIntervalSeconds: 1 });
    const issuer = {
      issuer: idp.issuer,
      clientId: CLI_CLIENT_ID,
      audience: "hoopish",
      scopes: ["openid", "offline_access"],
      flows: ["device" as const],
    };
    await restartGateway({ discovery: { issuers: [issuer], insecureStorage: true } });
    const configDir = tempDir();
    const signIn = createWorld({ configDir });
    const signedIn = run(signIn, ["login", "--server", gateway.url, "--json"]);
    const { user_code } = await signIn.stdout.event<{ user_code: string }>(({ event }) => event === "device_code");
    await idp.approveDevice(user_code, "scientist@bank.example");
    expect(await signedIn).toBe(0);

    const { world, done, ready: event } = await ready([], { HOOPISH_TOKEN: "", HOOPISH_CONFIG_DIR: configDir });
    let stream: import("node:stream").Duplex | undefined;
    gateway.onTcp = (opened) => {
      stream = opened;
      opened.resume();
    };
    const long = raw(event.port, head(event.port));
    await expect.poll(() => gateway.renewals.length, { timeout: 12_000 }).toBeGreaterThanOrEqual(2);
    expect(new Set(gateway.renewals).size).toBe(gateway.renewals.length);
    expect(stream?.destroyed).toBe(false);
    expect(gateway.tunnels).toHaveLength(1);

    idp.removeAccount("scientist@bank.example");
    await world.stdout.event((e) => e.event === "sign_in_ending");
    expect(await done).toBe(4);
    expect(JSON.parse(world.stderr.text).error).toMatchObject({ code: "unauthenticated", hint: "hoopish login" });
    await long.over;
    await idp.close();
  }, 30_000);
});

it("asks for no key where clients cannot send one", async () => {
  gateway.protocol = "postgres";
  const { world, done } = start(["model-x", "--port", "0", "--require-key"]);
  expect(await done).toBe(3);
  expect(world.stderr.text).toContain("speaks postgres");
});

describe("-- CMD", () => {
  const node = process.execPath;

  it("runs it with the variables set, and ends with its exit code", async () => {
    const script = `fetch(process.env.OPENAI_BASE_URL + "/models").then((r) => process.exit(r.status === 200 ? 42 : 1))`;
    const { world, done } = start(["model-x", "--port", "0", "--", node, "-e", script]);
    expect(await done).toBe(42);
    expect(world.stdout.text).toBe("");
    expect(world.stderr.text).toContain("model-x is at http://127.0.0.1:");
    expect(gateway.session.ended).toBe(true);
  });

  it("gives 128+n for a signal, 127 for a command that is not there", async () => {
    const killed = start(["model-x", "--port", "0", "--", node, "-e", "process.kill(process.pid, 'SIGKILL')"]);
    expect(await killed.done).toBe(137);
    const missing = start(["model-x", "--port", "0", "--", "no-such-program-here"]);
    expect(await missing.done).toBe(127);
    expect(missing.world.stderr.text).toContain("no-such-program-here cannot be run");
  });

  it("passes SIGTERM on, and ends the child when the session is revoked", async () => {
    const forever = [node, "-e", "setInterval(() => {}, 1000)"];
    const first = start(["model-x", "--port", "0", "--", ...forever]);
    await expect.poll(() => first.world.stderr.text).toContain("model-x is at");
    await sleep(200);
    first.world.signal("SIGTERM");
    expect(await first.done).toBe(143);

    const second = start(["model-x", "--port", "0", "--", ...forever]);
    await expect.poll(() => second.world.stderr.text).toContain("model-x is at");
    gateway.session.send({ event: "revoked", code: "access_denied", reason: "locked" });
    gateway.session.stream.end();
    expect(await second.done).toBe(5);
    expect(second.world.stderr.text).toContain("locked");
  });

  it("is usage when there is none", async () => {
    const { done } = start(["model-x", "--"]);
    expect(await done).toBe(3);
  });
});

it("answers 503 to a connection that waited in vain", async () => {
  // Straight at the door, with a short wait: the command's own is ten seconds.
  const { FrontDoor } = await import("../connect/front-door.ts");
  const door = await FrontDoor.open("x", 0);
  const never = {
    enter: () => false,
    opened: (signal: AbortSignal) => once(signal, "abort").then(() => Promise.reject(signal.reason)),
  };
  door.receive(never, {}, { tunnelMs: 50, headMs: 50 });
  const { text } = await raw(door.port, head(door.port)).over;
  expect(text).toMatch(/^HTTP\/1\.1 503 .*"code":"unreachable"/s);
  const slow = await raw(door.port, "GET / HT").over;
  expect(slow.text).toMatch(/^HTTP\/1\.1 408 /);
  door.close();
});

it("lets an ordinary HTTP client keep its connection alive", async () => {
  const { ready: event } = await ready();
  const ports = new Set<number | undefined>();
  const { Agent } = await import("node:http");
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let n = 0; n < 5; n += 1) {
    const request = httpRequest(`${event.url}/models`, { agent }).end();
    const [response] = (await once(request, "response")) as [import("node:http").IncomingMessage];
    ports.add(request.socket?.localPort);
    response.resume();
    await once(response, "end");
  }
  agent.destroy();
  expect(ports.size).toBe(1);
});
