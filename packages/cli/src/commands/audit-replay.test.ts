import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { Gateway, type GatewayOptions, json, type Route } from "../testing/gateway.ts";
import { createWorld, type TestWorldOptions } from "../testing/world.ts";

let gateway: Gateway | undefined;
afterEach(() => gateway?.close());

const SESSION = `ses_${"2".repeat(32)}`;
const id = (n: number): string => `call_${String(n).repeat(32)}`;
const at = (ms: number): string => new Date(Date.UTC(2026, 10, 23, 8) + ms).toISOString();

const session = {
  id: SESSION,
  user: "ada@bank.example",
  connection: "chat",
  state: "closed",
  openedAt: at(0),
  host: "laptop-7",
  client: "hoopish/0.1.0",
  reason: "Q3 validation",
  calls: 2,
};
const call = (n: number, ms: number, more: object = {}): object => ({
  id: id(n),
  time: at(ms),
  user: "ada@bank.example",
  connection: "chat",
  session: SESSION,
  method: "POST",
  path: "/v1/chat/completions",
  kind: "chat",
  model: "llama",
  verdict: "allow",
  rule: "scientists",
  status: 200,
  durationMs: 400,
  outcome: "complete",
  ...more,
});
const called = (n: number, ms: number, more: object = {}): object => ({
  call: call(n, ms, more),
  endedAt: at(ms + 400),
  payloads: [
    { field: "request", bytes: 20, complete: true },
    { field: "delivered", bytes: 300, complete: true },
  ],
  gone: [],
});
const piece = (n: number, field: string, offsetMs: number, text: string | Buffer): object => ({
  piece: { call: id(n), field, offsetMs, data: Buffer.from(text).toString("base64") },
});
const token = (content: string): string => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;

const LINES = [
  { session },
  called(1, 1_000),
  piece(1, "query", 0, "?a=b"),
  piece(1, "request", 0, '{"messages":["hi"]}'),
  piece(1, "delivered", 200, token("Hello ")),
  piece(1, "delivered", 350, token("there")),
  called(3, 2_000, { verdict: "block", rule: undefined, status: 403, outcome: "refused", code: "access_denied" }),
  piece(3, "delivered", 0, '{"error":"no"}'),
];

const sending =
  (lines: readonly object[]): Route =>
  (_request, response) => {
    for (const line of lines) response.write(`${JSON.stringify(line)}\n`);
    response.end();
  };

async function start(route: Route, argv: readonly string[], options: TestWorldOptions = {}) {
  gateway = await Gateway.start({ routes: { [`GET /api/v1/audit/sessions/${SESSION}/replay`]: route } });
  const env = { HOOPISH_SERVER: gateway.url, HOOPISH_TOKEN: "t", NO_COLOR: "1" };
  const world = createWorld({ ...options, env });
  return { world, done: run(world, ["audit", "replay", SESSION, ...argv]) };
}
async function play(lines: readonly object[], argv: readonly string[] = [], options: TestWorldOptions = {}) {
  const { world, done } = await start(sending(lines), argv, options);
  const from = performance.now();
  return { code: await done, ms: performance.now() - from, stdout: world.stdout.text, stderr: world.stderr.text };
}

describe("audit replay", () => {
  it("shows who, when, which model, request and answer; without waiting where there is no terminal", async () => {
    const { code, stdout, ms } = await play(LINES);
    expect(code).toBe(0);
    expect(ms).toBeLessThan(900);
    expect(stdout.split("\n")).toEqual([
      `${SESSION} opened 2026-11-23 08:00:00Z`,
      "  │ ada@bank.example on chat, from laptop-7 with hoopish/0.1.0: Q3 validation",
      "",
      `+1.000 s ${id(1)} allow by scientists`,
      "  │ 2026-11-23 08:00:01Z ada@bank.example POST /v1/chat/completions (chat llama)",
      "  query",
      "  │ ?a=b",
      "  request, 20 B",
      "  │ {",
      '  │   "messages": [',
      '  │     "hi"',
      "  │   ]",
      "  │ }",
      "  answer, 300 B",
      "  │ Hello there",
      "  200 complete 400 ms",
      "",
      `+2.000 s ${id(3)} block`,
      "  │ 2026-11-23 08:00:02Z ada@bank.example POST /v1/chat/completions (chat llama)",
      "  answer, 300 B",
      "  │ {",
      '  │   "error": "no"',
      "  │ }",
      "  403 access_denied refused 400 ms",
      "",
    ]);
  });

  it("plays with its timing on a terminal, as fast as it is told", async () => {
    const once = await play(LINES, ["--speed", "4"], { tty: true });
    expect(once.ms).toBeGreaterThan(550);
    expect(once.ms).toBeLessThan(1_500);
    expect((await play(LINES, ["--speed", "max"], { tty: true })).ms).toBeLessThan(400);
  });

  it("shows an answer token by token", async () => {
    const { world, done } = await start(sending(LINES), ["--speed", "2"], { tty: true });
    await expect.poll(() => world.stdout.text, { interval: 5 }).toContain("Hello ");
    expect(world.stdout.text).not.toContain("there");
    expect(await done).toBe(0);
  });

  it("gives the bytes of a stream with --raw", async () => {
    expect((await play(LINES, ["--raw"])).stdout).toContain('  │ data: {"choices":[{"delta":{"content":"Hello "}}]}\n');
  });

  it("is events with their place in the recording with --json", async () => {
    const { stdout, ms } = await play(LINES, ["--json"], { tty: true });
    expect(ms).toBeLessThan(900);
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.map(({ event, offsetMs }) => [event, offsetMs])).toEqual([
      ["session", undefined],
      ["call", 1_000],
      ["piece", 1_000],
      ["piece", 1_000],
      ["piece", 1_200],
      ["piece", 1_350],
      ["ended", 1_400],
      ["call", 2_000],
      ["piece", 2_000],
      ["ended", 2_400],
      ["end", undefined],
    ]);
    expect(events[4]).toMatchObject({
      call: id(1),
      field: "delivered",
      base64: Buffer.from(token("Hello ")).toString("base64"),
    });
    expect(events.at(-1)).toEqual({ event: "end", calls: 2 });
  });

  it("says what is kept no more, what was cut off, and that a call runs", async () => {
    const { endedAt: _, ...running } = called(1, 1_000) as { endedAt: string };
    const open = { ...running, call: call(1, 1_000, { status: undefined, outcome: undefined }), gone: ["request"] };
    const cut = { ...open, payloads: [{ field: "delivered", bytes: 3, complete: false }] };
    const { stdout } = await play([{ session }, cut, piece(1, "delivered", 0, "abc")]);
    expect(stdout).toContain("  request: kept no more\n  answer, 3 B, cut off\n  │ abc\n  not ended\n");
    expect((await play([{ session }])).stdout).toContain("No calls.");
  });
});

describe("a hostile recording", () => {
  const ATTACKS = [
    "\u001b[2J\u001b[H\u001b[31m",
    "\u001b]8;;http://evil\u0007bank\u001b]8;;\u0007",
    "\u001b]52;c;cm0gLXJmIC8=\u0007",
    "\u001bP+q544e\u001b\\",
    "\u009b2J\u009d0;owned\u009c\u0090q\u009c",
    "\u202ekcolb\u202c\u2066x\u2069",
    "403 block\r200 allow",
    `\n+2.000 s ${id(9)} allow by everybody\n`,
    `${" ".repeat(96)}+2.000 s ${id(9)} allow by everybody`,
  ];
  const attack = ATTACKS.join("");
  const bodies = [token(attack), attack, JSON.stringify({ content: attack, [attack]: 1 }), `data: ${attack}\n\n`];
  const lines = [
    { session: { ...session, user: attack, host: attack, reason: attack, connection: attack } },
    ...bodies.flatMap((body) => [
      {
        ...called(1, 0, { user: attack, path: `/${attack}`, model: attack, code: attack, rule: "scientists" }),
        gone: [attack],
      },
      piece(1, "query", 0, attack),
      piece(1, "request", 0, body),
      piece(1, "delivered", 0, body),
    ]),
  ];

  it.each([[[]], [["--raw"]], [["--json"]]])("cannot drive the terminal with %j", async (argv) => {
    const { code, stdout } = await play(lines, ["--speed", "max", ...argv], { tty: true });
    expect(code).toBe(0);
    expect(stdout.length).toBeGreaterThan(5_000);
    expect(stdout.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/u);
  });

  it("cannot forge a call", async () => {
    const { stdout } = await play(lines, ["--speed", "max"], { tty: true });
    const rows = stdout.split("\n").flatMap((line) => line.match(/.{1,100}/g) ?? []);
    expect(rows.filter((row) => row.includes(id(9))).length).toBeGreaterThan(10);
    for (const row of rows) expect(row).not.toMatch(/^\+2\.000 s|^call_9/);
  });

  it("that is no recording is an error", async () => {
    for (const line of ["{}", "[1]", "nonsense", '{"piece":{"call":"x","field":"delivered","offsetMs":0,"data":""}}']) {
      const { world, done } = await start((_request, response) => void response.end(`${line}\n`), []);
      expect(await done).toBe(1);
      expect(world.stderr.text).toContain("cannot read");
      await gateway?.close();
    }
  });

  it("that never ends a line takes no memory", async () => {
    const endless: Route = (_request, response) => {
      const pump = (): void => {
        if (response.destroyed) return;
        if (response.write("x".repeat(65_536))) setImmediate(pump);
        else response.once("drain", pump);
      };
      pump();
    };
    const { done } = await start(endless, []);
    expect(await done).toBe(1);
  });
});

describe("while it plays", () => {
  it("--step waits for a key before each call after the first, and q is enough", async () => {
    let release: (key: string) => void = () => {};
    let asked = 0;
    const keys = (): Promise<string> => {
      asked += 1;
      return new Promise((resolve) => {
        release = resolve;
      });
    };
    const three = [...LINES, called(5, 3_000)];
    const { world, done } = await start(sending(three), ["--step", "--speed", "max"], { tty: true, keys });
    await expect.poll(() => asked).toBe(1);
    expect(world.stdout.text).toContain("200 complete");
    expect(world.stdout.text).not.toContain(id(3));
    release(" ");
    await expect.poll(() => asked).toBe(2);
    expect(world.stdout.text).toContain("403 access_denied");
    release("q");
    expect(await done).toBe(0);
    expect(world.stdout.text).not.toContain(id(5));
    expect(world.stderr.text).toContain("a key: the next call; q: enough");
  });

  it("Ctrl-C ends it at once, on a whole line or not", async () => {
    const { world, done } = await start(sending(LINES), ["--speed", "0.1"], { tty: true });
    await expect.poll(() => world.stdout.text).toContain("opened");
    const from = performance.now();
    world.signal("SIGINT");
    expect(await done).toBe(130);
    expect(performance.now() - from).toBeLessThan(500);
    expect(world.stderr.text).toBe("");
  });

  it("a server that breaks off is an error: part of a session is not all of it", async () => {
    const broken = (_request: IncomingMessage, response: ServerResponse): void => {
      for (const line of LINES.slice(0, 5)) response.write(`${JSON.stringify(line)}\n`);
      setTimeout(() => response.destroy(), 50);
    };
    const { world, done } = await start(broken, []);
    expect(await done).toBe(7);
    expect(world.stderr.text).toContain("broke the replay off");
  });
});

describe("audit replay --reissue", () => {
  const BODY = Buffer.from('{"messages":[{"role":"user","content":"Zoë?"}]}');
  const OLD = '{"id":"a","answer":"yes"}';
  const records = [{ index: 4, leaf: '{"payloads":{"request":{},"query":{}}}' }];
  const story = {
    call: call(1, 1_000),
    records,
    payloads: [
      { field: "query", bytes: 6, state: "complete" },
      { field: "request", bytes: BODY.length, state: "complete" },
      { field: "delivered", bytes: OLD.length, state: "complete" },
    ],
  };
  const path = `/api/v1/audit/calls/${id(1)}`;
  const bytes =
    (data: Buffer | string): Route =>
    (_request, response) =>
      void response.end(data);

  interface Seen {
    readonly method: string;
    readonly url: string;
    readonly headers: IncomingMessage["headers"];
    readonly body: Buffer;
  }

  async function reissue(
    answer: (response: ServerResponse) => void,
    more: { story?: object; argv?: readonly string[]; verdict?: string; refuse?: GatewayOptions["refuse"] } = {},
  ) {
    const order: string[] = [];
    const noted =
      (name: string, route: Route): Route =>
      (...args) => {
        order.push(name);
        route(...args);
      };
    const routes: Record<string, Route> = {
      [`GET ${path}`]: (_request, response) => json(response, more.story ?? story),
      [`GET ${path}/payloads/query`]: bytes("?a=%20"),
      [`GET ${path}/payloads/request`]: bytes(BODY),
      [`GET ${path}/payloads/delivered`]: bytes(OLD),
      [`POST ${path}/reissues`]: noted("reported", (_request, response) =>
        json(response, { of: id(1), again: id(7), verdict: more.verdict ?? "allow" }),
      ),
    };
    gateway = await Gateway.start({ routes, ...(more.refuse && { refuse: more.refuse }) });
    const seen: Seen[] = [];
    const model = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        order.push("sent");
        const { method = "", url = "", headers } = request;
        seen.push({ method, url, headers, body: Buffer.concat(chunks) });
        response.setHeader("hoopish-call", id(7));
        answer(response);
      });
    });
    gateway.onTcp = (stream) => model.emit("connection", stream);
    const world = createWorld({ env: { HOOPISH_SERVER: gateway.url, HOOPISH_TOKEN: "t" } });
    const code = await run(world, ["audit", "replay", "--reissue", id(1), ...(more.argv ?? [])]);
    const reports = gateway.requests.filter(({ method }) => method === "POST").map(({ body }) => body);
    return { code, stdout: world.stdout.text, stderr: world.stderr.text, seen, order, reports, gateway };
  }

  it("sends method, target and body byte for byte, and no header of anybody's", async () => {
    const { code, stdout, seen, order, reports, gateway } = await reissue((response) => response.end(OLD));
    expect(code).toBe(0);
    expect(seen).toHaveLength(1);
    const [sent] = seen;
    expect(sent).toMatchObject({ method: "POST", url: "/v1/chat/completions?a=%20" });
    expect(sent?.body.equals(BODY)).toBe(true);
    expect(Object.keys(sent?.headers ?? {}).sort()).toEqual(["connection", "content-length", "content-type", "host"]);
    // The log has it before it is shown.
    expect(order).toEqual(["sent", "reported"]);
    expect(reports).toEqual([JSON.stringify({ again: id(7) })]);
    expect(stdout).toContain("the same, byte for byte");
    expect(gateway.session.open).toMatchObject({ connection: "chat", reason: `reissue of ${id(1)}` });
    await expect.poll(() => gateway.session.ended).toBe(true);
  });

  it("shows what is different, neutralised", async () => {
    const now = JSON.stringify({ id: "b\u001b[2J\u202e", answer: "yes", extra: [1] });
    const { stdout } = await reissue((response) => response.writeHead(201).end(now));
    expect(stdout).toMatch(/status +200, now 201/);
    expect(stdout).toContain("2 members not the same");
    expect(stdout).toContain('$.id\n- "a"\n+ "b\\\\x1b[2J\\\\u202e"\n');
    expect(stdout).toContain("$.extra\n+ [1]\n");
  });

  it("is one document with --json", async () => {
    const { stdout } = await reissue((response) => response.end("no JSON"), { argv: ["--json"] });
    expect(JSON.parse(stdout)).toMatchObject({
      of: id(1),
      again: id(7),
      verdict: "allow",
      status: { was: 200, now: 200 },
      complete: true,
      body: { kind: "text", differences: [{ unit: "word", at: 1, was: [OLD], now: ["no JSON"] }] },
    });
  });

  it("says that the new answer broke off", async () => {
    const { code, stdout } = await reissue((response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write(OLD);
      setTimeout(() => response.destroy(), 50);
    });
    expect([code, stdout]).toEqual([0, expect.stringContaining("which broke off")]);
  });

  it("gives the reason and ticket on to the session", async () => {
    const { gateway } = await reissue((response) => response.end(OLD), {
      argv: ["--reason", "MRM check", "--ticket", "T-1"],
    });
    expect(gateway.session.open).toMatchObject({ reason: "MRM check", ticket: "T-1" });
  });

  it("ends with 5 when policy refuses the session, or the call", async () => {
    const refuse = () => ({ code: "access_denied" as const, message: "auditors read the log and never connect" });
    const session = await reissue((response) => response.end(OLD), { refuse });
    expect([session.code, session.seen, session.reports]).toEqual([5, [], []]);
    await gateway?.close();
    expect((await reissue((response) => response.writeHead(403).end("no"), { verdict: "block" })).code).toBe(5);
  });

  it.each([
    ["was cut off", { ...story, payloads: [{ field: "request", bytes: 3, state: "cut" }] }, "cut off"],
    ["is kept no more", { ...story, payloads: [{ field: "request", bytes: 3, state: "purged" }] }, "kept no more"],
    ["is missing", { ...story, payloads: [{ field: "query", bytes: 3, state: "missing" }] }, "kept no more"],
    [
      "has a path that the record does not hold",
      { ...story, call: call(1, 0, { path: `/${"x".repeat(1_023)}` }) },
      "longer",
    ],
  ])("sends nothing when the request %s", async (_name, told, message) => {
    const { code, stderr, seen } = await reissue((response) => response.end(OLD), { story: told });
    expect([code, seen]).toEqual([1, []]);
    expect(stderr).toContain(message);
  });

  it("compares with nothing where the recorded answer is kept no more", async () => {
    const answer = { field: "delivered", bytes: OLD.length, state: "purged", purges: [9] };
    const told = { ...story, payloads: [...story.payloads.slice(0, 2), answer] };
    const { stdout } = await reissue((response) => response.end(OLD), { story: told });
    expect(stdout).toContain("none is kept to compare with");
  });
});
