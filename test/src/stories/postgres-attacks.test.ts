import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { promisify } from "node:util";
import { applicant, type PostgresFixture, startPostgres } from "@hoopish/fixtures";
import {
  bind,
  cancelRequest,
  close,
  copyData,
  copyDone,
  describe as describeMessage,
  errorFields,
  execute,
  flush,
  type Message,
  MessageReader,
  message,
  parse,
  query,
  sslRequest,
  startup,
  sync,
} from "@hoopish/protocol/postgres";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportLog } from "../world/log.ts";
import { type Connected, World } from "../world/world.ts";

/** What a client of PostgreSQL may say to get past the gate, byte by byte where a driver would not. */

const RULES = `
  - { name: scientists, connections: ["*"], groups: [data-science], then: allow }
  - name: no-wiping
    connections: ["*"]
    when: 'call.kind in ["delete_without_where", "update_without_where", "truncate", "ddl", "do", "call", "set_role", "grant"]'
    then: block
    message: Not here.
  - { name: no-passwords, connections: ["*"], when: '"pg_authid" in request.sql.tables', then: block, message: Not these. }`;
const EXTRA = `masking:
  - { name: answers, connections: ["*"], direction: response, detect: [US_SSN, EMAIL], action: redact }
  - { name: cards, connections: ["*"], direction: request, detect: [CREDIT_CARD], action: redact }
`;

let world: World;
let postgres: PostgresFixture;
let features: Connected;
let lenient: Connected;
/** A database that is to die. */
let mortal: PostgresFixture;
beforeAll(async () => {
  [postgres, mortal] = await Promise.all([startPostgres(), startPostgres({ empty: true })]);
  // Its administrator wants backslashes in every text to mean something.
  await postgres.query(`CREATE ROLE careless LOGIN PASSWORD '${postgres.password}' IN ROLE ${postgres.user};
    ALTER ROLE careless SET standard_conforming_strings = off`);
  const target = (name: string, at = postgres, user = at.user) => `
  - { name: ${name}, target: "${at.url}", credential: { postgres: ${user}, value: ${JSON.stringify(at.password)} } }`;
  world = await World.start({
    rules: RULES,
    serverExtra: EXTRA,
    connections: `
  - { name: features, agent: edge-1, protocol: postgres, api: generic, modelFunctions: [predict_default], limits: { requestBytes: 64KiB, responseRows: 1000 } }
  - { name: lenient, agent: edge-1, protocol: postgres, api: generic, uninspectable: allow }
  - { name: careless, agent: edge-1, protocol: postgres, api: generic }
  - { name: mortal, agent: edge-1, protocol: postgres, api: generic }`,
    targets:
      target("features") + target("lenient") + target("careless", postgres, "careless") + target("mortal", mortal),
  });
  for (const account of ["scientist", "audit", "platform"] as const) await world.signIn(account);
  features = await world.connect("scientist", "features");
  lenient = await world.connect("scientist", "lenient");
}, 120_000);
afterAll(async () => {
  await world?.close();
  await Promise.all([postgres?.close(), mortal?.close()]);
});

/** A client that says exactly what it is told to. */
class Raw {
  readonly socket: Socket;
  readonly seen: Message[] = [];
  readonly #reader = new MessageReader({ side: "backend", maxMessageBytes: 10_000_000 });
  closed = false;

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    this.socket.on("error", () => undefined);
    this.socket.on("close", () => {
      this.closed = true;
    });
  }

  /** From here on what comes is messages. */
  read(): this {
    this.socket.on("data", (chunk: Buffer) => this.seen.push(...this.#reader.push(chunk)));
    return this;
  }

  static async ready(port: number, parameters: readonly string[] = ["user", "me", "database", "x"]): Promise<Raw> {
    const raw = new Raw(port).read();
    raw.send(startup(parameters));
    await raw.until((types) => types.endsWith("Z") || raw.closed);
    raw.seen.length = 0;
    return raw;
  }

  send(...messages: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(messages));
  }

  get types(): string {
    return this.seen.map(({ type }) => type).join("");
  }

  /** Of each error: SQLSTATE and words. */
  get errors(): string[] {
    return this.seen.flatMap(({ type, body }) =>
      type === "E" ? [`${errorFields(body).get("C")} ${errorFields(body).get("M")}`] : [],
    );
  }

  async until(done: (types: string) => boolean): Promise<void> {
    await expect.poll(() => done(this.types) || this.closed, { timeout: 10_000 }).toBe(true);
  }

  /** Sends, and waits for so many ReadyForQuery. */
  async ask(count: number, ...messages: readonly Buffer[]): Promise<string> {
    this.seen.length = 0;
    this.send(...messages);
    await this.until((types) => types.split("Z").length - 1 >= count);
    return this.types;
  }
}
const refusedStart = async (to: Connected, parameters: readonly string[]): Promise<string> => {
  const raw = new Raw(to.port).read();
  raw.send(startup(parameters));
  await raw.until((types) => types.includes("E") || types.endsWith("Z"));
  raw.socket.destroy();
  return raw.errors[0] ?? raw.types;
};
const none = { formats: [], resultFormats: [] };
const bound = (statement: string, parameters: (Buffer | null)[] = [], portal = "") =>
  bind({ portal, statement, parameters, ...none });
const driver = async (to: Connected): Promise<pg.Client> => {
  const client = new pg.Client({ host: "127.0.0.1", port: to.port, user: "me", database: "x" });
  client.on("error", () => undefined);
  await client.connect();
  return client;
};

describe("a start-up", () => {
  it.each([
    ["replication", ["user", "me", "replication", "database"]],
    ["options", ["user", "me", "options", "-c search_path=evil"]],
    ["another role", ["user", "me", "role", "postgres"]],
    ["another search_path", ["user", "me", "search_path", "evil"]],
    ["another encoding", ["user", "me", "client_encoding", "SJIS"]],
  ])("with %s is refused", async (_what, parameters) => {
    expect(await refusedStart(features, parameters)).toMatch(/^(?:42501|08P01) hoopish: /);
  });

  it("asks for TLS first, is told no, and goes on", async () => {
    const raw = new Raw(features.port);
    raw.send(sslRequest());
    const [answer] = (await once(raw.socket, "data")) as [Buffer];
    expect(answer.toString()).toBe("N");
    raw.read().send(startup(["user", "me"]));
    await raw.until((types) => types.endsWith("Z"));
    expect(raw.types).toMatch(/^RS+KZ$/);
    raw.socket.destroy();
  });

  it("that is none, or never ends, costs its own connection alone", async () => {
    const garbage = new Raw(features.port);
    garbage.socket.resume();
    garbage.send(Buffer.from([0, 0, 0, 16, 0, 3, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]));
    await expect.poll(() => garbage.closed).toBe(true);
    const half = new Raw(features.port);
    half.send(Buffer.from([0, 0, 0, 99, 0, 3]));
    half.socket.destroy();
    const client = await driver(features);
    expect((await client.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
    await client.end();
  });
});

describe("a statement by another way", () => {
  it.each([
    ["a comment in the middle", "DELETE /* WHERE id = 1 */ FROM decisions -- WHERE id = 1"],
    ["several at once", "SELECT 1; DELETE FROM decisions; SELECT 2"],
    ["in a WITH", "WITH gone AS (DELETE FROM decisions RETURNING id) SELECT count(*) FROM gone"],
    ["in an EXPLAIN ANALYZE", "EXPLAIN ANALYZE DELETE FROM decisions"],
    ["with a condition that keeps nothing out", "DELETE FROM decisions WHERE E'\\x61' = 'a'"],
    ["in code of another language", "DO $x$ BEGIN DELETE FROM decisions; END $x$"],
    [
      "in a function that is made for it",
      "CREATE FUNCTION wipe() RETURNS void LANGUAGE sql AS 'DELETE FROM decisions'",
    ],
    ["by a name in Unicode escapes", 'DELETE FROM U&"d\\0065cisions"'],
    ["as another role", "SET ROLE postgres"],
    ["as another role, by a function", "SELECT set_config('role', 'postgres', false)"],
    ["by a text that a function runs", "SELECT query_to_xml('DELETE FROM decisions', true, true, '')"],
    ["prepared in SQL", "PREPARE p AS DELETE FROM decisions"],
    ["COPY of what it deletes", "COPY (DELETE FROM decisions RETURNING *) TO STDOUT"],
  ])("%s is refused, and nothing is changed", async (_what, sql) => {
    await postgres.query("TRUNCATE decisions; INSERT INTO decisions (applicant_id) VALUES (1), (2)");
    const raw = await Raw.ready(features.port);
    expect(await raw.ask(1, query(sql))).toBe("EZ");
    expect(raw.errors[0]).toMatch(/^42501 hoopish: /);
    const prepared = await raw.ask(1, parse("", sql), bound(""), execute(""), sync());
    expect(prepared).toBe("EZ");
    raw.socket.destroy();
    expect(await postgres.query("SELECT count(*)::int AS n FROM decisions")).toEqual([{ n: 2 }]);
  });

  it("prepared under one name and executed under another", async () => {
    const raw = await Raw.ready(features.port);
    expect(await raw.ask(1, parse("harmless", "DELETE FROM decisions"), sync())).toBe("EZ");
    expect(await raw.ask(1, bound("harmless"), execute(""), sync())).toBe("EZ");
    // The refused statement is not there under any name; what the name was meant for is judged all the same.
    expect(raw.errors[0]).toMatch(/^42501 hoopish: /);
    expect(await raw.ask(1, bound("unheard-of"), execute(""), sync())).toBe("EZ");
    expect(raw.errors[0]).toContain("not known on this connection");
    expect(await raw.ask(1, query("EXECUTE harmless"))).toBe("EZ");
    expect(await raw.ask(1, execute("somewhere"), sync())).toBe("EZ");
    raw.socket.destroy();
  });

  it("a table that a rule names, by its schema and without", async () => {
    const raw = await Raw.ready(features.port);
    for (const table of ["pg_authid", "pg_catalog.pg_authid", '"pg_catalog"."pg_authid"']) {
      expect(await raw.ask(1, query(`SELECT rolname FROM ${table}`))).toBe("EZ");
      expect(raw.errors[0]).toBe("42501 hoopish: Not these.");
    }
    raw.socket.destroy();
  });

  it("rows of one portal under the columns of another", async () => {
    const raw = await Raw.ready(features.port);
    const texts = [parse("a", "SELECT ssn FROM applicants LIMIT 1"), parse("b", "SELECT 1.5::float8 AS x")];
    const portals = [bound("a", [], "pa"), bound("b", [], "pb")];
    const both = [describeMessage("P", "pa"), describeMessage("P", "pb")];
    const rows = (): string[] =>
      raw.seen.filter(({ type }) => type === "D").map(({ body }) => body.toString("latin1", 6));
    expect(await raw.ask(1, ...texts, ...portals, ...both, execute("pa"), execute("pb"), sync())).toBe("1122TTDCDCZ");
    expect(rows()).toEqual(["[US_SSN]", "1.5"]);
    // In another batch of the same transaction, and the one that is described last run last.
    expect(await raw.ask(1, query("BEGIN"))).toBe("CZ");
    expect(await raw.ask(1, ...portals, ...both, sync())).toBe("22TTZ");
    expect(await raw.ask(1, describeMessage("P", "pb"), execute("pa"), sync())).toBe("TDCZ");
    expect(rows()).toEqual(["[US_SSN]"]);
    raw.socket.destroy();
  });

  it("a function call of the wire protocol, and a message that is none", async () => {
    const raw = await Raw.ready(features.port);
    expect(await raw.ask(1, message("F", Buffer.alloc(10)), sync())).toBe("EZ");
    expect((await raw.ask(1, query("SELECT 1"))).endsWith("Z")).toBe(true);
    raw.send(Buffer.from("!garbage that is no message at all"));
    await expect.poll(() => raw.closed).toBe(true);
  });

  it("a message beyond the limit", async () => {
    const raw = await Raw.ready(features.port);
    raw.send(query(`SELECT '${"x".repeat(70_000)}'`));
    await expect.poll(() => raw.closed || raw.types.includes("E")).toBe(true);
    raw.socket.destroy();
  });
});

/** Kinds of what this session was let do, in order. */
const allowedKinds = async (session: string): Promise<string[]> => {
  const { records } = await exportLog(world);
  return records.flatMap(({ type, verdict, operation, session: of }) =>
    type === "call.decided" && verdict === "allow" && of === session ? [(operation as { kind: string }).kind] : [],
  );
};
const INSERT = "INSERT INTO decisions (applicant_id) VALUES (1)";

describe("a name that stands for something else at the database", () => {
  it.each<[string, (raw: Raw) => Promise<void>]>([
    [
      "the unnamed statement, after one in its place was refused",
      async (raw) => {
        await raw.ask(1, parse("", INSERT), sync());
        // Nobody knows that portal: the whole batch stays here, and the first statement stays there.
        expect(await raw.ask(1, parse("", "SELECT 1"), execute("nowhere"), sync())).toBe("EZ");
        await raw.ask(1, bound(""), execute(""), sync());
      },
    ],
    [
      "the unnamed statement, after one in its place was passed over by the database",
      async (raw) => {
        await raw.ask(1, parse("twice", "SELECT 1"), sync());
        await raw.ask(1, parse("", INSERT), sync());
        expect(await raw.ask(1, parse("twice", "SELECT 2"), parse("", "SELECT 1"), sync())).toBe("EZ");
        await raw.ask(1, bound(""), execute(""), sync());
      },
    ],
    [
      "a portal, after another in its place was refused",
      async (raw) => {
        await raw.ask(1, query("BEGIN"));
        await raw.ask(1, parse("i", INSERT), bound("i"), sync());
        expect(await raw.ask(1, parse("s", "SELECT 1"), bound("s"), execute("nowhere"), sync())).toBe("EZ");
        await raw.ask(1, execute(""), sync());
        await raw.ask(1, query("COMMIT"));
      },
    ],
    [
      "a statement that SQL prepared",
      async (raw) => {
        await raw.ask(1, query("PREPARE s AS SELECT 1"));
        expect(await raw.ask(1, query("EXECUTE s"))).toBe("TDCZ");
        await raw.ask(1, query("DEALLOCATE s"));
        await raw.ask(1, query(`PREPARE s AS ${INSERT}`));
        expect(await raw.ask(1, query("EXECUTE s"))).toBe("CZ");
      },
    ],
  ])("%s: what is done is what was decided and recorded", async (_what, attack) => {
    await postgres.query("TRUNCATE decisions");
    const own = await world.connect("scientist", "features");
    const raw = await Raw.ready(own.port);
    await attack(raw);
    raw.socket.destroy();
    const [{ n } = { n: -1 }] = (await postgres.query("SELECT count(*)::int AS n FROM decisions")) as { n: number }[];
    const kinds = await allowedKinds(own.session);
    // The INSERT was prepared once. If it ran, that is a second time that it was decided.
    expect(kinds.filter((kind) => kind === "insert").length).toBe(1 + n);
  });

  const DELETE = "DELETE FROM decisions RETURNING id";
  it.each<[string, (raw: Raw) => Promise<unknown>]>([
    ["bound and run one after another", (raw) => raw.ask(1, execute("p"), sync())],
    ["bound, and fetched as a cursor", (raw) => raw.ask(1, query("FETCH ALL FROM p"))],
    [
      "bound, and another bound in its place that is refused",
      async (raw) => {
        await raw.ask(1, parse("s", "SELECT 1"), bound("s", [], "p"), execute("nowhere"), sync());
        await raw.ask(1, execute("p"), sync());
      },
    ],
    [
      "as the unnamed statement, and another in its place that is refused",
      async (raw) => {
        await raw.ask(1, parse("", "SELECT 1"), execute("nowhere"), sync());
        await raw.ask(1, bound(""), execute(""), sync());
      },
    ],
    [
      "after another of its name in the same batch",
      async (raw) => {
        await raw.ask(1, parse("", "SELECT 1"), parse("", DELETE), bound("", [], "q"), sync());
        await raw.ask(1, execute("q"), sync());
      },
    ],
    [
      "after another of its name that was closed in the same batch",
      async (raw) => {
        await raw.ask(1, parse("t", "SELECT 1"), close("S", "t"), parse("t", DELETE), bound("t", [], "q"), sync());
        await raw.ask(1, execute("q"), sync());
      },
    ],
  ])("%s: what is blocked is not done", async (_what, attack) => {
    await postgres.query("TRUNCATE decisions; INSERT INTO decisions (applicant_id) VALUES (1), (2)");
    const raw = await Raw.ready(features.port);
    await raw.ask(1, query("BEGIN"));
    await raw.ask(1, parse("", DELETE), bound("", [], "p"), sync());
    await attack(raw);
    await raw.ask(1, query("COMMIT"));
    raw.socket.destroy();
    expect(await postgres.query("SELECT count(*)::int AS n FROM decisions")).toEqual([{ n: 2 }]);
  });

  it("a text with backslashes, where the database's own settings give them a meaning", async () => {
    await postgres.query("TRUNCATE decisions; INSERT INTO decisions (applicant_id) VALUES (1), (2)");
    const own = await world.connect("scientist", "careless");
    const raw = await Raw.ready(own.port);
    // Two texts where a backslash is only that; there, one text and a DELETE.
    if (!raw.closed) await raw.ask(1, query("SELECT '\\', '; DELETE FROM decisions; --'"));
    raw.socket.destroy();
    expect(await postgres.query("SELECT count(*)::int AS n FROM decisions")).toEqual([{ n: 2 }]);
  });
});

describe("an answer", () => {
  it("is masked where nobody asked for its columns", async () => {
    const raw = await Raw.ready(features.port);
    const types = await raw.ask(
      1,
      parse("", "SELECT ssn FROM applicants WHERE id = 1"),
      bound(""),
      execute(""),
      sync(),
    );
    // The description that the gateway asked for is not the client's.
    expect(types).toBe("12DCZ");
    expect(raw.seen.map(({ bytes }) => bytes.toString()).join("")).toContain("[US_SSN]");
    expect(raw.seen.map(({ bytes }) => bytes.toString()).join("")).not.toContain(applicant(0).ssn);
    raw.socket.destroy();
  });

  it("comes in parts, and with Flush, as the database gives it", async () => {
    const raw = await Raw.ready(features.port);
    raw.seen.length = 0;
    raw.send(
      parse("", "SELECT id, ssn FROM applicants ORDER BY id LIMIT 5"),
      bound(""),
      describeMessage("P", ""),
      execute("", 2),
      flush(),
    );
    await raw.until((types) => types === "12TDDs");
    raw.send(execute("", 2), flush());
    await raw.until((types) => types === "12TDDsDDs");
    raw.send(execute("", 0), sync());
    await raw.until((types) => types.endsWith("Z"));
    expect(raw.types).toBe("12TDDsDDsDCZ");
    expect(raw.seen.map(({ bytes }) => bytes.toString()).join("")).not.toContain(applicant(4).ssn);
    raw.socket.destroy();
  });

  it("comes for each of several that were sent at once", async () => {
    const raw = await Raw.ready(features.port);
    const one = (n: number) => [parse("", `SELECT ${n}`), bound(""), execute(""), sync()];
    expect(await raw.ask(3, ...one(1), ...one(2), ...one(3))).toBe("12DCZ12DCZ12DCZ");
    raw.socket.destroy();
  });

  it("passes over what follows an error up to the next Sync", async () => {
    const raw = await Raw.ready(features.port);
    const types = await raw.ask(
      2,
      parse("", "SELECT * FROM nowhere"),
      flush(),
      bound(""),
      execute(""),
      sync(),
      query("SELECT 1"),
    );
    expect(types).toBe("EZTDCZ");
    raw.socket.destroy();
  });

  it("of more rows than the limit is cut, and the connection goes on", async () => {
    const client = await driver(features);
    await expect(client.query("SELECT generate_series(1, 100000)")).rejects.toMatchObject({ code: "54000" });
    expect((await client.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  it("in an error's words is masked, too", async () => {
    const client = await driver(features);
    const error = (await client
      .query(`SELECT CAST(ssn AS int) FROM applicants WHERE id = 1`)
      .catch((thrown) => thrown)) as pg.DatabaseError;
    expect(error.code).toBe("22P02");
    expect(error.message).toContain("[US_SSN]");
    expect(error.message).not.toContain(applicant(0).ssn);
    await client.end();
  });

  it("that the database breaks off is never a good one", async () => {
    const client = await driver(features);
    const pid = (await client.query("SELECT pg_backend_pid() AS pid")).rows[0].pid;
    const broken = client.query("SELECT pg_sleep(20)").catch((thrown: Error) => thrown);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await postgres.query(`SELECT pg_terminate_backend(${pid})`);
    expect(await broken).toBeInstanceOf(Error);
    await client.end().catch(() => undefined);
  });
});

it("what must not reach the database goes only where it is a constant", async () => {
  const client = await driver(features);
  const { rows } = await client.query("SELECT '4111 1111 1111 1111' AS card, $1::text AS other", ["4111111111111111"]);
  expect(rows).toEqual([{ card: "[CREDIT_CARD]", other: "[CREDIT_CARD]" }]);
  await expect(client.query("SELECT 4111111111111111 AS card")).rejects.toMatchObject({ code: "42501" });
  await client.end();
});

it("a client that leaves in the middle of a message costs nobody anything", async () => {
  const own = await world.connect("scientist", "features");
  const open = async () =>
    (await postgres.query("SELECT count(*)::int AS n FROM pg_stat_activity WHERE backend_type = 'client backend'"))[0]
      ?.n;
  const before = await open();
  for (const rest of [query("SELECT 1"), bound("nobody"), startup(["user", "me"])]) {
    const raw = await Raw.ready(own.port);
    raw.send(rest.subarray(0, rest.length - 2));
    raw.socket.end();
    await expect.poll(() => raw.closed).toBe(true);
  }
  await expect.poll(open, { timeout: 5_000 }).toBe(before);
  const client = await driver(own);
  expect((await client.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
  await client.end();
});

it("a database that dies in the middle of an answer leaves no answer that looks whole", async () => {
  const own = await world.connect("scientist", "mortal");
  const raw = await Raw.ready(own.port);
  raw.send(query("SELECT i, pg_sleep(0.001) FROM generate_series(1, 100000) AS i"));
  await raw.until((types) => types.includes("D"));
  await mortal.close();
  await expect.poll(() => raw.closed, { timeout: 10_000 }).toBe(true);
  expect(raw.types).toMatch(/^TD+E+$/);
  const { records } = await exportLog(world);
  const outcomes = records.flatMap(({ type, session, outcome }) =>
    type === "call.answered" && session === own.session ? [outcome] : [],
  );
  expect(outcomes).toHaveLength(1);
  expect(outcomes).not.toContain("complete");
  await expect(driver(own)).rejects.toThrow();
});

describe("COPY", () => {
  it("is refused, both ways", async () => {
    const raw = await Raw.ready(features.port);
    expect(await raw.ask(1, query("COPY applicants TO STDOUT"))).toBe("EZ");
    expect(await raw.ask(1, query("COPY decisions FROM STDIN"))).toBe("EZ");
    raw.socket.destroy();
  });

  it("passes where the connection says so, and the record names it", async () => {
    await postgres.query("TRUNCATE decisions");
    const raw = await Raw.ready(lenient.port);
    expect(await raw.ask(1, query("COPY (SELECT id FROM applicants WHERE id < 4) TO STDOUT"))).toMatch(/^Hd+cCZ$/);
    raw.seen.length = 0;
    raw.send(query("COPY decisions (applicant_id) FROM STDIN"));
    await raw.until((types) => types === "G");
    raw.send(copyData(Buffer.from("7\n")), copyData(Buffer.from("8\n")), copyDone());
    await raw.until((types) => types === "GCZ");
    raw.socket.destroy();
    expect(await postgres.query("SELECT count(*)::int AS n FROM decisions")).toEqual([{ n: 2 }]);
    const { records } = await exportLog(world);
    const named = records.filter(({ uninspected }) => JSON.stringify(uninspected ?? "").includes("COPY"));
    expect(named.length).toBeGreaterThanOrEqual(2);
  });
});

it("a key that is guessed cancels nothing", async () => {
  const client = await driver(features);
  const slow = client.query("SELECT pg_sleep(1), 1 AS one");
  for (let guess = 0; guess < 20; guess++) {
    const raw = new Raw(features.port);
    raw.send(cancelRequest(guess, Buffer.alloc(4, guess)));
    raw.socket.end();
  }
  expect((await slow).rows[0].one).toBe(1);
  await client.end();
});

it("a query ends when its session is killed, and at the database, too", async () => {
  const again = await world.connect("scientist", "features");
  const client = await driver(again);
  const slow = client.query("SELECT pg_sleep(30) AS killed_with_its_session").catch((thrown: Error) => thrown);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const started = Date.now();
  await world.cli("platform", ["sessions", "kill", again.session, "--reason", "story"]);
  expect(await slow).toBeInstanceOf(Error);
  expect(Date.now() - started).toBeLessThan(3_000);
  await expect
    .poll(
      () =>
        postgres.query(
          "SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(30)%'",
        ),
      { timeout: 5_000 },
    )
    .toEqual([{ n: 0 }]);
});

it("a connection that waits for nothing is told why it ends", async () => {
  const again = await world.connect("scientist", "features");
  const raw = await Raw.ready(again.port);
  await world.cli("platform", ["sessions", "kill", again.session, "--reason", "story"]);
  await expect.poll(() => raw.errors[0]).toMatch(/^57P01 hoopish: /);
  await expect.poll(() => raw.closed).toBe(true);
});

const hasPgbench = spawnSync("pgbench", ["--version"]).status === 0;
it.skipIf(!hasPgbench)("pgbench works, in each of its ways (skipped where pgbench is not there)", async () => {
  await postgres.query(`
    CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
    INSERT INTO pgbench_accounts SELECT i, 1, 0, '' FROM generate_series(1, 100000) AS i;
    CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
    INSERT INTO pgbench_branches VALUES (1, 0, '');
    GRANT ALL ON pgbench_accounts, pgbench_branches TO ${postgres.user}`);
  for (const mode of ["simple", "extended", "prepared"]) {
    const args = [
      "-S",
      "-n",
      "-M",
      mode,
      "-c",
      "2",
      "-t",
      "50",
      "-s",
      "1",
      "-h",
      "127.0.0.1",
      "-p",
      String(features.port),
      "-U",
      "me",
      "x",
    ];
    const { stdout } = await promisify(execFile)("pgbench", args, { env: { ...process.env, PGSSLMODE: "prefer" } });
    expect(stdout).toContain("number of transactions actually processed: 100/100");
  }
});

it("every refusal stands in the log, and no value that was masked", async () => {
  const { records, payloads } = await exportLog(world);
  const refused = records.filter(
    ({ type, protocol, verdict }) => type === "call.decided" && protocol === "postgres" && verdict === "block",
  );
  expect(refused.length).toBeGreaterThan(30);
  for (const [key, bytes] of payloads)
    if (key.endsWith(" delivered")) expect(bytes.includes(applicant(0).ssn)).toBe(false);
});
