import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { Gateway, json, type Route, sendError } from "../testing/gateway.ts";
import { createWorld, runCli, type TestWorldOptions, tempDir } from "../testing/world.ts";

let gateway: Gateway | undefined;
afterEach(() => gateway?.close());

async function cli(routes: Record<string, Route>, argv: readonly string[], options: TestWorldOptions = {}) {
  await gateway?.close();
  gateway = await Gateway.start({ routes });
  return runCli(argv, { ...options, env: { HOOPISH_SERVER: gateway.url, HOOPISH_TOKEN: "t", ...options.env } });
}
const answers =
  (value: unknown): Route =>
  (_request, response) =>
    json(response, value);

const CALL = `call_${"1".repeat(32)}`;
const SESSION = `ses_${"2".repeat(32)}`;
const AGENT = `agt_${"3".repeat(32)}`;
const session = {
  id: SESSION,
  user: "scientist@bank.example",
  connection: "model-x",
  state: "live",
  openedAt: "2026-11-23T08:00:00.000Z",
  expiresAt: "2026-11-23T16:00:00.000Z",
  host: "laptop\u001b]0;owned\u0007",
  client: "hoopish/0.1.0",
  calls: 3,
  inFlight: 1,
};
const call = {
  id: CALL,
  time: "2026-11-23T08:00:00.000Z",
  user: "scientist@bank.example",
  connection: "model-x",
  session: SESSION,
  method: "POST",
  path: "/v1/chat/completions",
  kind: "chat",
  model: "\u009b31mgranite",
  verdict: "allow",
  rule: "scientists",
  status: 200,
  durationMs: 12,
  requestBytes: 10,
  deliveredBytes: 2048,
  outcome: "complete",
};
const agent = {
  id: AGENT,
  name: "edge-1",
  publicKey: "A".repeat(43).concat("="),
  enrolledAt: "2026-11-23T08:00:00.000Z",
  instances: [
    {
      instance: "i-1",
      connectedAt: "2026-11-23T08:00:00.000Z",
      version: "0.1.0",
      inFlight: 2,
      connections: ["model-x"],
    },
  ],
};

describe("connections", () => {
  const list = {
    connections: [
      {
        name: "model-x",
        protocol: "http",
        api: "openai",
        online: true,
        requireReason: true,
        rules: [
          { name: "a", verdict: "allow" },
          { name: "b", verdict: "hold" },
        ],
      },
      {
        name: "y",
        protocol: "http",
        api: "oip",
        online: false,
        requireReason: false,
        rules: [{ name: "c", verdict: "hold" }],
      },
    ],
  };

  it("is an aligned table, without escapes where there is no terminal", async () => {
    const { stdout } = await cli({ "GET /api/v1/connections": answers(list) }, ["connections"]);
    expect(stdout.split("\n")).toEqual([
      "NAME     API     AGENT    ACCESS                         REASON",
      "model-x  openai  online   yes, some calls need approval  required",
      "y        oip     offline  needs approval",
      "",
    ]);
  });

  it("has colours on a terminal, and none with NO_COLOR or in CI", async () => {
    const routes = { "GET /api/v1/connections": answers(list) };
    expect((await cli(routes, ["connections"], { tty: true })).stdout).toContain("\u001b[32monline");
    for (const env of [{ NO_COLOR: "1" }, { CI: "true" }, { TERM: "dumb" }]) {
      expect((await cli(routes, ["connections"], { tty: true, env })).stdout).not.toContain("\u001b");
    }
  });

  it("is the server's document with --json", async () => {
    const { stdout } = await cli({ "GET /api/v1/connections": answers(list) }, ["connections", "--json"]);
    expect(JSON.parse(stdout)).toEqual(list);
  });

  it("says when there are none", async () => {
    const { stdout } = await cli({ "GET /api/v1/connections": answers({ connections: [] }) }, ["connections"]);
    expect(stdout).toBe("You may use no connection.\n");
  });
});

describe("sessions", () => {
  it("lists, and passes state, limit and cursor on", async () => {
    const routes = { "GET /api/v1/sessions": answers({ sessions: [session], next: "c2" }) };
    const { stdout } = await cli(routes, ["sessions", "list", "--state", "all", "--limit", "5", "--cursor", "c1"]);
    expect(gateway?.requests.at(-1)?.path).toBe("/api/v1/sessions?state=all&limit=5&cursor=c1");
    expect(stdout).toContain("laptop\\x1b]0;owned\\x07");
    expect(stdout).toContain("more: --cursor c2");
    await cli(routes, ["sessions"]);
    expect(gateway?.requests.at(-1)?.path).toBe("/api/v1/sessions?state=live");
  });

  it("shows one", async () => {
    const { stdout } = await cli({ [`GET /api/v1/sessions/${SESSION}`]: answers(session) }, [
      "sessions",
      "show",
      SESSION,
    ]);
    expect(stdout).toMatch(/^session\s+ses_2{32}$/m);
    expect(stdout).toMatch(/^expires\s+2026-11-23 16:00:00Z$/m);
  });

  it("kills one, with the reason", async () => {
    const routes = { [`DELETE /api/v1/sessions/${SESSION}`]: answers({ ...session, state: "closed" }) };
    const { code } = await cli(routes, ["sessions", "kill", SESSION, "--reason", "laptop lost"]);
    expect(code).toBe(0);
    expect(gateway?.requests.at(-1)).toMatchObject({ path: `/api/v1/sessions/${SESSION}?reason=laptop+lost` });
  });
});

describe("audit", () => {
  it("lists calls; ages become times", async () => {
    const now = () => Date.parse("2026-11-23T12:00:00Z");
    const routes = { "GET /api/v1/audit/calls": answers({ calls: [call] }) };
    const { stdout } = await cli(routes, ["audit", "list", "--since", "24h", "--user", "x", "--verdict", "block"], {
      now,
    });
    expect(gateway?.requests.at(-1)?.path).toBe(
      "/api/v1/audit/calls?user=x&verdict=block&since=2026-11-22T12%3A00%3A00.000Z",
    );
    expect(stdout).toContain("chat \\x9b31mgranite");
    expect(stdout).toContain("2.0 KiB");
  });

  const story = {
    call,
    records: [{ index: 7, leaf: '{"type":"call.decided"}' }],
    payloads: [
      { field: "request", bytes: 9, state: "complete" },
      { field: "delivered", bytes: 5000, state: "cut" },
      { field: "answer", bytes: 3, state: "complete" },
    ],
  };
  const bodies: Record<string, Buffer> = {
    request: Buffer.from('{"a":\n 1}'),
    delivered: Buffer.from(`\u001b[2J\u001b]52;c;ZXZpbA==\u0007ä${"é".repeat(2500)}`),
    answer: Buffer.from([0xff, 0xfe, 0x00]),
  };
  const showRoutes: Record<string, Route> = {
    [`GET /api/v1/audit/calls/${CALL}`]: answers(story),
    ...Object.fromEntries(
      Object.entries(bodies).map(([field, body]): [string, Route] => [
        `GET /api/v1/audit/calls/${CALL}/payloads/${field}`,
        (_request, response) => response.end(body),
      ]),
    ),
  };

  it("shows a call's story; what a model wrote cannot drive the terminal", async () => {
    const { stdout } = await cli(showRoutes, ["audit", "show", CALL, "--max-bytes", "100"], { env: { NO_COLOR: "1" } });
    expect(stdout).toContain("allow by rule scientists");
    expect(stdout).toContain('record 7\n{"type":"call.decided"}');
    expect(stdout).toContain('\nrequest (9 B)\n{"a":\n 1}\n');
    expect(stdout).toContain("cut off: the log's commitment does not cover all of it; only the beginning is shown");
    expect(stdout).toContain("\\x1b[2J\\x1b]52;c;ZXZpbA==\\x07äéé");
    expect(stdout).toContain("binary, in base64)\n//4A\n");
    expect(stdout.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
  });

  it("tells what became of what is gone, and which holds keep the rest", async () => {
    const gone = [
      { field: "request", bytes: 9, state: "purged", purges: [17, 40] },
      { field: "delivered", bytes: 2048, state: "missing" },
    ];
    const holds = [`hold_${"4".repeat(32)}`];
    const routes = { [`GET /api/v1/audit/calls/${CALL}`]: answers({ ...story, payloads: gone, holds }) };
    const { stdout } = await cli(routes, ["audit", "show", CALL], { env: { NO_COLOR: "1" } });
    expect(stdout).toContain("request (9 B; destroyed when its time was over: record 17 or 40)");
    expect(stdout).toContain("delivered (2.0 KiB; missing: the log commits to it");
    expect(stdout).toMatch(new RegExp(`kept by +${holds[0]}`));
    const json = await cli(routes, ["audit", "show", CALL, "--json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({ payloads: gone, holds });
  });

  it("is one document with --json", async () => {
    const { stdout } = await cli(showRoutes, ["audit", "show", CALL, "--json"]);
    const document = JSON.parse(stdout);
    expect(document.records).toEqual([{ index: 7, leaf: '{"type":"call.decided"}', record: { type: "call.decided" } }]);
    expect(document.payloads.map((body: { data: string; truncated: boolean }) => body.truncated)).toEqual([
      false,
      false,
      false,
    ]);
    expect(document.payloads[1].data).toBe(bodies.delivered?.toString());
    expect(stdout).not.toContain("\u001b");
  });
});

describe("audit search", () => {
  const leaf = JSON.stringify({
    type: "auth.refused",
    time: "2026-11-23T08:00:00.000Z",
    actor: { name: "eve\u001b[2J" },
    reason: "the audience\u202e is another",
    code: "unauthenticated",
    count: 3,
  });
  const records = [
    { index: 12, leaf },
    { index: 11, leaf: "not JSON" },
  ];

  it("asks for what is wanted, and shows records of any kind, harmlessly", async () => {
    const words = ["--type", "auth.refused", "--type", "log.gap", "--user", "eve", "--until", "2026-11-24"];
    const { stdout } = await cli({ "GET /api/v1/audit/records": answers({ records, next: "11" }) }, [
      "audit",
      "search",
      ...words,
    ]);
    expect(stdout).toMatch(/2026-11-23 08:00:00Z {2}12 +auth.refused +eve\\x1b\[2J +reason=the audience\\u202e/);
    expect(stdout).toContain("more: --cursor 11");
    expect(gateway?.requests.at(-1)?.path).toBe(
      "/api/v1/audit/records?user=eve&type=auth.refused%2Clog.gap&until=2026-11-24T00%3A00%3A00.000Z",
    );
  });

  it("is one document with --json: the exact text, and what it says", async () => {
    const { stdout } = await cli({ "GET /api/v1/audit/records": answers({ records }) }, ["audit", "search", "--json"]);
    expect(JSON.parse(stdout)).toEqual({
      records: [
        { index: 12, leaf, record: JSON.parse(leaf) },
        { index: 11, leaf: "not JSON", record: {} },
      ],
    });
  });
});

describe("audit export", () => {
  const lines = Array.from(
    { length: 5_000 },
    (_, index) => `${JSON.stringify({ index, record: { x: "y".repeat(200) } })}\n`,
  );
  const whole: Route = (_request, response) => {
    for (const line of lines) response.write(line);
    response.end();
  };
  const broken: Route = (_request, response) => {
    for (const line of lines.slice(0, 2_000)) response.write(line);
    setTimeout(() => response.destroy(), 50);
  };
  const exporting = (...more: string[]): string[] => ["audit", "export", "--since", "7d", ...more];
  const route = (answer: Route) => ({ "GET /api/v1/audit/export": answer });

  it("writes the whole stream into a file that only its owner reads", async () => {
    const file = join(tempDir(), "out.jsonl");
    const { code, stdout } = await cli(route(whole), exporting("--payloads", "-o", file));
    expect(code).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(lines.join(""));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(stdout).toContain(`5000 lines`);
    expect(gateway?.requests.at(-1)?.path).toMatch(/format=jsonl&payloads=true$/);
  });

  it("leaves no file when the server breaks off, and exits with 1", async () => {
    const dir = tempDir();
    const { code, stderr } = await cli(route(broken), exporting("-o", join(dir, "out.jsonl")));
    expect(code).toBe(1);
    expect(stderr).toContain("broke the export off");
    expect(readdirSync(dir)).toEqual([]);
  });

  it("writes to stdout as it comes, and exits with 1 when it is not whole", async () => {
    const good = await cli(route(whole), exporting("-o", "-"));
    expect([good.code, good.stdout]).toEqual([0, lines.join("")]);
    expect((await cli(route(broken), exporting())).code).toBe(1);
  });

  it("does not replace a file, nor write into another's part, unless it is told to", async () => {
    const dir = tempDir();
    const file = join(dir, "out.jsonl");
    writeFileSync(file, "old");
    expect((await cli(route(whole), exporting("-o", file))).code).toBe(1);
    expect(readFileSync(file, "utf8")).toBe("old");
    expect((await cli(route(whole), exporting("-o", file, "--force"))).code).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(lines.join(""));
    writeFileSync(join(dir, "new.part"), "half");
    const taken = await cli(route(whole), exporting("-o", join(dir, "new")));
    expect(taken.code).toBe(1);
    expect(readFileSync(join(dir, "new.part"), "utf8")).toBe("half");
  });

  it("does not let an export drive a terminal", async () => {
    expect((await cli(route(whole), exporting(), { tty: true })).code).toBe(3);
  });

  it("does not read faster than the disk, or the reader of stdout, takes", async () => {
    let sent = 0;
    const endless = (_request: unknown, response: ServerResponse): void => {
      const chunk = Buffer.alloc(64 * 1024, 120);
      const pump = (): void => {
        if (response.destroyed) return;
        sent += chunk.length;
        if (response.write(chunk)) setImmediate(pump);
        else response.once("drain", pump);
      };
      pump();
    };
    gateway = await Gateway.start({ routes: route(endless) });
    const unread = Object.assign(new PassThrough(), { isTTY: false });
    const world = createWorld({ stdout: unread, env: { HOOPISH_SERVER: gateway.url, HOOPISH_TOKEN: "t" } });
    const done = run(world, exporting("-o", "-"));
    await expect.poll(() => sent).toBeGreaterThan(0);
    let before = -1;
    while (before !== sent) {
      before = sent;
      await sleep(200);
    }
    expect(sent).toBeLessThan(16 * 1024 * 1024);
    world.signal("SIGINT");
    expect(await done).toBe(130);
  });
});

describe("agent", () => {
  it("prints a one-time token alone on stdout", async () => {
    const token = { name: "edge-1", token: "tok_123456789012345678", expiresAt: "2026-11-23T09:00:00.000Z" };
    const routes = { "POST /api/v1/agents/enrollments": answers(token) };
    const { stdout, stderr } = await cli(routes, ["agent", "enroll", "edge-1", "--ttl", "15m"]);
    expect(stdout).toBe("tok_123456789012345678\n");
    expect(stderr).toContain("good once");
    expect(JSON.parse(gateway?.requests.at(-1)?.body ?? "")).toEqual({ name: "edge-1", ttlSeconds: 900 });
  });

  it("lists agents", async () => {
    const revoked = { ...agent, name: "edge-2", revokedAt: "2026-11-23T08:00:00.000Z", instances: [] };
    const { stdout } = await cli({ "GET /api/v1/agents": answers({ agents: [agent, revoked] }) }, ["agent", "list"]);
    expect(stdout).toMatch(/edge-1\s+online\s+2\s+model-x\s+0\.1\.0/);
    expect(stdout).toMatch(/edge-2\s+revoked/);
  });

  it("revokes by id, or by a name that only one has", async () => {
    const routes = {
      "GET /api/v1/agents": answers({ agents: [agent] }),
      [`DELETE /api/v1/agents/${AGENT}`]: answers({ ...agent, revokedAt: "2026-11-23T08:00:00.000Z" }),
    };
    expect((await cli(routes, ["agent", "revoke", "edge-1"])).stdout).toContain(`edge-1 (${AGENT}) is revoked`);
    expect((await cli(routes, ["agent", "revoke", AGENT])).code).toBe(0);
    expect((await cli(routes, ["agent", "revoke", "edge-9"])).code).toBe(1);
    const two = { "GET /api/v1/agents": answers({ agents: [agent, { ...agent, id: `agt_${"4".repeat(32)}` }] }) };
    expect((await cli(two, ["agent", "revoke", "edge-1"])).stderr).toContain("agt_4444");
  });
});

describe("errors of the server", () => {
  it.each([
    ["unauthenticated", 4],
    ["access_denied", 5],
    ["not_found", 1],
    ["rate_limited", 1],
    ["evidence_unavailable", 7],
  ] as const)("%s exits with %i", async (code, exit) => {
    const routes: Record<string, Route> = {
      "GET /api/v1/connections": (_request, response) => sendError(response, code, "what \u001b[31mhappened"),
    };
    const { code: got, stderr } = await cli(routes, ["connections"]);
    expect(got).toBe(exit);
    expect(stderr).toContain("hoopish: what \\x1b[31mhappened\n");
  });

  it("tells a proxy's page from a server's answer, and an old client from a broken one", async () => {
    const page: Route = (_request, response) => {
      response.statusCode = 403;
      response.end("<html>blocked by web filter</html>");
    };
    const blocked = await cli({ "GET /api/v1/connections": page }, ["connections", "--json"]);
    expect(blocked.code).toBe(7);
    expect(JSON.parse(blocked.stderr).error).toMatchObject({
      code: "unreachable",
      hint: expect.stringContaining("doctor"),
    });
    const foreign = await cli({ "GET /api/v1/connections": answers({ connections: "x" }) }, ["connections"]);
    expect(foreign.code).toBe(1);
    expect(foreign.stderr).toContain("cannot read");
  });

  it("ends quickly and quietly on SIGINT", async () => {
    gateway = await Gateway.start({ routes: { "GET /api/v1/connections": () => {} } });
    const world = createWorld({ env: { HOOPISH_SERVER: gateway.url, HOOPISH_TOKEN: "t" } });
    const done = run(world, ["connections"]);
    await expect.poll(() => gateway?.requests.at(-1)?.path).toBe("/api/v1/connections");
    const since = Date.now();
    world.signal("SIGINT");
    expect(await done).toBe(130);
    expect(Date.now() - since).toBeLessThan(500);
    expect(world.stderr.text).toBe("");
  });
});
