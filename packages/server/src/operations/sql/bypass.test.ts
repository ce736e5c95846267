import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type PostgresFixture, startPostgres } from "@hoopish/fixtures";
import {
  copyData,
  copyDone,
  errorFields,
  locateCells,
  type Message,
  MessageReader,
  passwordMessage,
  query,
  readyStatus,
  startup,
} from "@hoopish/protocol/postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Operation } from "../operation.ts";
import { WRITES } from "./kinds.ts";
import { KNOWN_FUNCTIONS } from "./known-functions.ts";
import { describeSql, loadSqlParser, readSql } from "./sql.ts";

/**
 * Ways around the reading of SQL, each one run by a real PostgreSQL, too: what the database did is compared with what the text
 * was read as. The list only grows: what once got by, or could have, stays.
 */

/** What each attack finds. The functions are there before it: somebody else made them, and the text does not say what they do. */
const BANK = `
  DROP SCHEMA IF EXISTS public, evil, pgml, other CASCADE; CREATE SCHEMA public; CREATE SCHEMA evil; CREATE SCHEMA pgml;
  DROP ROLE IF EXISTS mallory;
  CREATE TABLE victims (id int PRIMARY KEY, name text NOT NULL, n int NOT NULL);
  INSERT INTO victims SELECT i, 'v' || i, i FROM generate_series(1, 20) AS i;
  CREATE TABLE ledger (id int PRIMARY KEY, note text); INSERT INTO ledger VALUES (1, 'a');
  CREATE SEQUENCE counter; CREATE SEQUENCE asked;
  CREATE MATERIALIZED VIEW summary AS SELECT count(*) AS n FROM ledger; INSERT INTO ledger VALUES (2, 'b');
  CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM victims; SELECT 1';
  CREATE FUNCTION gone(victims) RETURNS int LANGUAGE sql AS 'DELETE FROM ledger; SELECT 1';
  CREATE PROCEDURE clear_out() LANGUAGE sql AS 'DELETE FROM victims';
  CREATE FUNCTION evil.lastval() RETURNS int LANGUAGE sql AS 'SELECT public.wipe()';
  CREATE FUNCTION evil.currval() RETURNS int LANGUAGE sql AS 'SELECT public.wipe()';
  CREATE FUNCTION evil.nextval() RETURNS int LANGUAGE sql AS 'SELECT public.wipe()';
  CREATE FUNCTION evil.lower(text) RETURNS int LANGUAGE sql AS 'SELECT public.wipe()';
  CREATE FUNCTION evil.set_config(text, text) RETURNS int LANGUAGE sql AS 'SELECT public.wipe()';
  CREATE FUNCTION evil.pg_notify(text) RETURNS int LANGUAGE sql AS 'SELECT public.wipe()';
  CREATE FUNCTION pg_sleep_a_little() RETURNS int LANGUAGE sql AS 'SELECT public.wipe()';
  CREATE FUNCTION pg_advisory_notes() RETURNS int LANGUAGE sql AS 'SELECT public.wipe()';
  CREATE FUNCTION pgml.deploy(text) RETURNS int LANGUAGE sql AS 'UPDATE public.ledger SET note = $1; SELECT 1';
  CREATE FUNCTION pgml.predict(text, float8[]) RETURNS float8 LANGUAGE sql AS 'SELECT 0.5::float8';
  CREATE FUNCTION evil.same(int, int) RETURNS bool LANGUAGE sql AS 'SELECT public.wipe() = 1';
  CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.same);
  CREATE OPERATOR ### (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.same);
  CREATE FUNCTION checked(text) RETURNS bool LANGUAGE sql AS 'SELECT public.wipe() = 1';
  CREATE DOMAIN label AS text CHECK (checked(VALUE));
  CREATE VIEW innocent AS SELECT wipe() AS n;
  CREATE FUNCTION score(int) RETURNS float8 LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''public.asked''); RETURN 0.5; END';
  ANALYZE victims`;

/** All that an attack may change, in one value; `asked` counts the model's calls and is no change. */
const rowsOf = (table: string): string =>
  `'${table}', CASE WHEN to_regclass('public.${table}') IS NOT NULL THEN query_to_xml('SELECT * FROM public.${table} ORDER BY 1', true, true, '')::text END`;
const OURS = "(SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'evil', 'other'))";
const STATE = `SELECT json_build_object(
  ${["victims", "ledger", "summary", "counter"].map(rowsOf).join(", ")},
  'relations', (SELECT json_agg(concat(relname, relkind, relacl) ORDER BY oid) FROM pg_class WHERE relnamespace IN ${OURS}),
  'columns', (SELECT count(*) FROM pg_attribute), 'triggers', (SELECT count(*) FROM pg_trigger), 'rules', (SELECT count(*) FROM pg_rewrite),
  'routines', (SELECT json_agg(concat(proname, prosrc, proacl) ORDER BY oid) FROM pg_proc WHERE pronamespace IN ${OURS}),
  'schemas', (SELECT json_agg(nspname ORDER BY nspname) FROM pg_namespace WHERE nspname !~ '^pg_t(oast_)?temp_'),
  'roles', (SELECT json_agg(r ORDER BY r.oid) FROM pg_roles AS r), 'members', (SELECT count(*) FROM pg_auth_members),
  'settings', (SELECT json_agg(s) FROM pg_db_role_setting AS s), 'large', (SELECT count(*) FROM pg_largeobject_metadata))`;
const SESSION = "SELECT current_user || session_user || current_setting('search_path')";

/** One connection to the database itself, past any gateway. */
class Peer {
  readonly #socket: Socket;
  readonly #reader = new MessageReader({ side: "backend", maxMessageBytes: 1_000_000 });
  #seen: Message[] = [];
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#seen.push(...this.#reader.push(chunk));
      this.#wake();
    });
  }

  static async open(postgres: PostgresFixture): Promise<Peer> {
    const socket = connect(postgres.port, postgres.host);
    await once(socket, "connect");
    const peer = new Peer(socket);
    const parameters = ["user", postgres.user, "database", postgres.database, "client_encoding", "UTF8"];
    socket.write(startup(parameters));
    await peer.#until("R");
    socket.write(passwordMessage(postgres.password));
    await peer.#until("Z");
    return peer;
  }

  /** The answer to a simple query; what it wants to be copied in is one row. */
  async ask(sql: string): Promise<Message[]> {
    this.#seen = [];
    this.#socket.write(query(sql));
    await this.#until("ZG");
    if (this.#seen.at(-1)?.type === "G") {
      this.#socket.write(Buffer.concat([copyData(Buffer.from("99\tcopied\n")), copyDone()]));
      await this.#until("Z");
    }
    return this.#seen;
  }

  /** The first cell of the last row. @throws the database's error */
  async value(sql: string): Promise<string> {
    const answer = await this.ask(sql);
    for (const { type, body } of answer) if (type === "E") throw new Error(errorFields(body).get("M"));
    const row = answer.findLast(({ type }) => type === "D")?.body ?? Buffer.alloc(2);
    const cells = new Int32Array(64);
    locateCells(row, cells);
    const [at = 0, length = 0] = cells;
    return row.toString("utf8", at, at + Math.max(0, length));
  }

  close(): void {
    this.#socket.destroy();
  }

  async #until(types: string): Promise<void> {
    while (!types.includes(this.#seen.at(-1)?.type ?? "-")) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

const OPTIONS = { modelFunctions: ["score"], readFunctions: [] };

/** As a connection reads texts one after another: it knows what was prepared. */
function readAll(texts: readonly string[]): Operation[] {
  const known = new Map<string, string>();
  const prepared = (name: string) => {
    const sql = known.get(name);
    return sql === undefined ? undefined : readSql(sql);
  };
  return texts.map((text) => {
    const operation = describeSql([text], { ...OPTIONS, prepared });
    for (const { prepares } of readSql(text).statements) {
      if (prepares !== undefined) known.set(prepares.name, prepares.statement);
    }
    return operation;
  });
}
const isNoticed = ({ sql, unclear }: Operation): boolean =>
  unclear !== undefined || (sql?.kinds.some((kind) => WRITES.has(kind as never)) ?? false);

let postgres: PostgresFixture;
let owner: Peer;
beforeAll(async () => {
  await loadSqlParser();
  postgres = await startPostgres({ empty: true, authentication: "password" });
  // Nothing that the text does may fail for want of a right.
  await postgres.query(`ALTER ROLE ${postgres.user} SUPERUSER`);
  owner = await Peer.open(postgres);
}, 60_000);
afterAll(async () => {
  owner?.close();
  await postgres?.close();
});

/** Runs them in a database that is as new, on a connection of their own. @returns for each whether anything is different after it */
async function run(texts: readonly string[]): Promise<boolean[]> {
  await owner.value(BANK);
  const client = await Peer.open(postgres);
  try {
    const changes: boolean[] = [];
    const before = { state: await owner.value(STATE), session: await client.value(SESSION) };
    for (const [i, text] of texts.entries()) {
      const ready = (await client.ask(text)).at(-1) as Message;
      // What a transaction has changed is seen when it ends.
      if (i === texts.length - 1 && readyStatus(ready.body) !== "I") await client.ask("COMMIT");
      const state = await owner.value(STATE);
      const session = await client.value(SESSION);
      changes.push(state !== before.state || session !== before.session);
      Object.assign(before, { state, session });
    }
    return changes;
  } finally {
    client.close();
  }
}

/** Each of them changes something. */
const CHANGES: readonly (string | readonly string[])[] = [
  // Comments, quotes, escapes: what looks like a text is none, and the other way round.
  "DELETE /* WHERE id = 1 */ FROM victims -- WHERE id = 1",
  "/* outer /* inner */ SELECT 1; */ DELETE FROM victims",
  "SELECT 1 /* it's */; DELETE FROM victims; --'",
  "SELECT '--'; DELETE FROM victims",
  "SELECT '\\'; DELETE FROM victims; --'",
  "SELECT E'\\'; SELECT 1; --'; DELETE FROM victims",
  "SELECT $$'$$; DELETE FROM victims; --'",
  "SELECT $a$ $b$ $$ $a$; DELETE FROM victims",
  "SELECT 'a'\n'b'; DELETE FROM victims",
  "SELECT U&'\\0027'; DELETE FROM victims; --'",
  "SELECT U&'!0027' UESCAPE '!'; DELETE FROM victims",
  'DELETE FROM U&"v\\0069ctims"',
  "DELETE FROM U&\"v!0069ctims\" UESCAPE '!'",
  'DELETE FROM "public"."victims"',
  "DELETE FROM ONLY victims",
  "DELETE FROM victims *",
  "delete\u000bfrom\u000cvictims",
  "DELETE\nFROM\r\nvictims\t;",
  ";;;DELETE FROM victims;;;",
  "DELETE FROM victims AS select_only RETURNING *",
  // Several at once, and in transactions.
  "SELECT 1; DELETE FROM victims; SELECT 2",
  "BEGIN; DELETE FROM victims; COMMIT",
  "BEGIN READ ONLY; COMMIT; DELETE FROM victims",
  ["BEGIN", "SAVEPOINT a; DELETE FROM victims; RELEASE a"],
  "ROLLBACK; DELETE FROM victims",
  // Nested in what reads.
  "WITH gone AS (DELETE FROM victims RETURNING id) SELECT count(*) FROM gone",
  "WITH a AS (SELECT 1), b AS MATERIALIZED (UPDATE victims SET n = 0 RETURNING *) SELECT * FROM a, b",
  "WITH x AS (INSERT INTO ledger VALUES (9, 'x')) SELECT 1",
  "WITH RECURSIVE r AS (SELECT 1), d AS (DELETE FROM victims) SELECT * FROM r",
  "WITH m AS (MERGE INTO victims v USING ledger l ON v.id = l.id WHEN MATCHED THEN DELETE RETURNING v.id) SELECT * FROM m",
  "WITH victims AS (SELECT 1) DELETE FROM victims",
  "EXPLAIN ANALYZE DELETE FROM victims",
  "EXPLAIN (COSTS OFF, ANALYZE) UPDATE victims SET n = 0",
  "EXPLAIN (ANALYZE TRUE) WITH d AS (DELETE FROM victims) SELECT 1",
  "EXPLAIN ANALYZE CREATE TABLE other AS SELECT 1",
  "COPY (DELETE FROM victims RETURNING *) TO STDOUT",
  "COPY (WITH d AS (DELETE FROM victims RETURNING *) SELECT * FROM d) TO STDOUT (FORMAT binary)",
  "COPY ledger FROM STDIN",
  // Writes by other names.
  "TRUNCATE victims",
  "TRUNCATE TABLE ONLY victims, ledger RESTART IDENTITY CASCADE",
  "MERGE INTO victims v USING ledger l ON v.id = l.id WHEN MATCHED THEN DELETE",
  "MERGE INTO victims v USING ledger l ON v.id = l.id WHEN NOT MATCHED BY SOURCE THEN DELETE",
  "MERGE INTO victims v USING (VALUES (1)) AS s (id) ON v.id = s.id WHEN MATCHED THEN UPDATE SET n = 0",
  "INSERT INTO victims VALUES (1, 'x', 1) ON CONFLICT (id) DO UPDATE SET n = -1",
  "INSERT INTO ledger SELECT id + 100, name FROM victims",
  "INSERT INTO ledger TABLE ledger ON CONFLICT (id) DO UPDATE SET note = 'z'",
  "UPDATE victims SET n = 0 WHERE CURRENT_DATE > '2000-01-01'",
  "UPDATE victims SET (name, n) = (SELECT note, 0 FROM ledger LIMIT 1)",
  ["BEGIN; DECLARE c CURSOR FOR SELECT * FROM victims FOR UPDATE; FETCH c; DELETE FROM victims WHERE CURRENT OF c"],
  "SELECT * INTO other FROM victims",
  "SELECT 1 AS a INTO TABLE other UNION SELECT 2",
  "CREATE TABLE other AS TABLE victims",
  "CREATE VIEW other AS SELECT 1",
  "CREATE SCHEMA other CREATE TABLE t (a int)",
  "DROP TABLE ledger CASCADE",
  "DROP SCHEMA evil CASCADE",
  "ALTER TABLE victims ADD more int",
  "ALTER TABLE ledger RENAME TO other",
  "COMMENT ON TABLE victims IS 'x'; DROP VIEW innocent",
  "CREATE TRIGGER t BEFORE UPDATE ON ledger FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
  "CREATE RULE r AS ON INSERT TO ledger DO ALSO DELETE FROM victims",
  "CREATE INDEX ON victims (n)",
  "GRANT SELECT ON victims TO PUBLIC",
  "CREATE ROLE mallory SUPERUSER LOGIN",
  "REFRESH MATERIALIZED VIEW summary",
  // Code of other languages, and what runs it.
  "DO $x$ BEGIN DELETE FROM victims; END $x$",
  "DO LANGUAGE plpgsql 'BEGIN EXECUTE ''DEL'' || ''ETE FROM victims''; END'",
  "DO E'BEGIN DELETE FROM victims; END'",
  "CREATE FUNCTION lower(victims) RETURNS int LANGUAGE sql AS 'DELETE FROM victims; SELECT 1'",
  ["CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT public.wipe()'", "SELECT pg_temp.f()"],
  "SELECT wipe()",
  'SELECT "wipe"()',
  'SELECT U&"w\\0069pe"()',
  "SELECT public.wipe()",
  "SELECT * FROM wipe()",
  "SELECT * FROM ROWS FROM (wipe(), generate_series(1, 2))",
  "SELECT 1 FROM ledger, LATERAL wipe()",
  "SELECT 1 WHERE wipe() = 1",
  "SELECT 1 FROM ledger ORDER BY wipe()",
  "SELECT 1 FROM ledger GROUP BY wipe()",
  "SELECT 1 FROM ledger HAVING wipe() = 1",
  "SELECT 1 LIMIT wipe()",
  "SELECT 1 OFFSET wipe()",
  "VALUES (wipe())",
  "SELECT CASE WHEN wipe() = 1 THEN 1 END",
  "SELECT COALESCE(wipe(), 1)",
  "SELECT ARRAY[wipe()]",
  "SELECT (ARRAY[1, 2])[wipe()]",
  "SELECT ROW(wipe(), 1)",
  "SELECT count(wipe())",
  "SELECT sum(1) FILTER (WHERE wipe() = 1)",
  "SELECT sum(1) OVER (PARTITION BY wipe())",
  "SELECT sum(1) OVER w FROM ledger WINDOW w AS (ORDER BY wipe())",
  "SELECT 1 WHERE 1 IN (SELECT wipe())",
  "SELECT EXISTS (SELECT 1 WHERE wipe() = 1)",
  "SELECT JSON_OBJECT('a': wipe())",
  "SELECT * FROM JSON_TABLE(to_jsonb(wipe()), '$' COLUMNS (a int PATH '$'))",
  "SELECT XMLFOREST(wipe() AS a)",
  "SELECT GREATEST(1, wipe())",
  "EXPLAIN ANALYZE SELECT wipe()",
  "CALL clear_out()",
  ["BEGIN; DECLARE c CURSOR FOR SELECT wipe(); FETCH ALL FROM c"],
  ["DECLARE c CURSOR WITH HOLD FOR SELECT wipe()"],
  // Functions that carry the name of one that is harmless.
  "SELECT evil.lower('x')",
  "SELECT evil.nextval()",
  "SELECT evil.lastval()",
  "SELECT evil.currval()",
  "SELECT evil.set_config('a.b', 'c')",
  "SELECT evil.pg_notify('x')",
  "SELECT pg_sleep_a_little()",
  "SELECT pg_advisory_notes()",
  "SELECT pgml.deploy('mine')",
  // Operators are functions.
  "SELECT 1 OPERATOR(evil.=) 2",
  "SELECT 1 OPERATOR(evil.=) ANY (ARRAY[1])",
  "SELECT 1 OPERATOR(evil.=) ANY (SELECT 1)",
  "SELECT 1 OPERATOR(evil.=) ALL (VALUES (1))",
  // Sequences, large objects.
  "SELECT nextval('counter')",
  "SELECT pg_catalog.setval('counter'::regclass, 100)",
  "SELECT lo_create(0)",
  "SELECT lo_import('/etc/passwd')",
  "SELECT lo_from_bytea(0, 'x')",
  // Prepared in SQL and run by its name.
  ["PREPARE p AS DELETE FROM victims", "EXECUTE p"],
  ["PREPARE p AS SELECT 1", "DEALLOCATE p", "PREPARE p AS DELETE FROM victims", "EXECUTE p"],
  "PREPARE p AS DELETE FROM victims; EXECUTE p",
  "PREPARE p (int) AS UPDATE victims SET n = $1; EXECUTE p (7)",
  ["PREPARE p AS DELETE FROM victims", "EXPLAIN ANALYZE EXECUTE p"],
  ["PREPARE p AS SELECT wipe()", "CREATE TABLE other AS EXECUTE p"],
  // Another role, other places to look names up in.
  "SET ROLE postgres",
  "SET LOCAL ROLE postgres; RESET ROLE; SET SESSION ROLE postgres",
  'SET "role" = postgres',
  "SET SESSION AUTHORIZATION postgres",
  "SELECT set_config('role', 'postgres', false)",
  "SELECT set_config(U&'r\\006fle', 'postgres', false)",
  "SELECT set_config('ro' || 'le', 'postgres', false)",
  "SELECT pg_catalog.set_config('search_path', 'evil', false)",
  "UPDATE pg_settings SET setting = 'evil' WHERE name = 'search_path'",
  "SET search_path = evil, pg_catalog",
  "SET SCHEMA 'evil'",
  "ALTER ROLE CURRENT_USER SET search_path = evil; ALTER ROLE CURRENT_USER RESET ALL; ALTER ROLE CURRENT_USER SET work_mem = 64",
  ["SET search_path = evil, pg_catalog, public", "SELECT lower('x')"],
];

describe("a text that changes something is read as one that may", () => {
  const table = CHANGES.map((attack) => (typeof attack === "string" ? [attack] : attack));
  it.each(table.map((texts) => [texts.join(" ⏎ "), texts] as const))("%s", async (_name, texts) => {
    const changes = await run(texts);
    const readings = readAll(texts);
    // It is no attack unless it does something.
    expect(changes).toContain(true);
    // One that is noticed is not carried out, and what comes after it stands on nothing.
    const noticed = readings.findIndex(isNoticed);
    expect(noticed).not.toBe(-1);
    expect(noticed).toBeLessThanOrEqual(changes.indexOf(true));
  });
});

describe("a text that this database would not carry out is read as an attempt", () => {
  it.each([
    ["SELECT query_to_xml('DELETE FROM victims', true, true, '')"],
    ["SELECT pg_catalog.query_to_xml($$DELETE FROM victims$$, true, true, '')"],
    ["SELECT U&\"query\\005fto_xml\"('DELETE FROM victims', true, true, '')"],
    ["SELECT cursor_to_xml('c', 1, true, true, '')"],
    ["SELECT * FROM ts_stat('DELETE FROM victims RETURNING name')"],
    ["SELECT ts_rewrite('a'::tsquery, 'DELETE FROM victims RETURNING 1, 2')"],
    ["SELECT dblink_exec('dbname=credit', 'DELETE FROM victims')"],
    ["SELECT * FROM dblink('dbname=credit', 'DELETE FROM victims RETURNING 1') AS t (a int)"],
    ["SELECT pg_read_file('/etc/passwd')"],
    ["SELECT set_config(new_value => 'postgres', is_local => false, setting_name => 'role')"],
    ["COPY victims FROM PROGRAM 'true'"],
    ["COPY (SELECT 1) TO '/nowhere/at/all'"],
    ["SELECT pg_create_physical_replication_slot('')"],
    ["LOAD 'nowhere'"],
    ["CREATE EXTENSION nowhere"],
    ["ALTER SYSTEM SET nowhere = 1"],
    ["DELETE FROM victims WHERE"],
    ["EXECUTE nobody"],
    ["SELECT wipe(VARIADIC ARRAY[1])"],
  ])("%s", async (text) => {
    const [reading] = readAll([text]);
    expect(await run([text])).toEqual([false]);
    expect(isNoticed(reading as Operation)).toBe(true);
  });
});

describe("a text that changes nothing is read as such", () => {
  it.each([
    ["SELECT 'DELETE FROM victims'"],
    ["SELECT 1 -- ; DELETE FROM victims"],
    ["SELECT 1 /* ; DELETE FROM victims /* ; */ DROP TABLE victims */"],
    ["SELECT $x$; DELETE FROM victims; $x$"],
    ["SELECT E'\\'; DELETE FROM victims; --'"],
    ["SELECT U&'\\0027; DELETE FROM victims; --'"],
    ["SELECT '''; DELETE FROM victims; --'"],
    ['SELECT 1 AS "; DELETE FROM victims"'],
    ["SELECT id AS delete, n AS truncate FROM victims"],
    ["SELECT * FROM victims WHERE name = 'DROP' FOR SHARE"],
    ["WITH gone AS (SELECT id FROM victims) SELECT count(*) FROM gone"],
    ["SELECT lower(name), count(*) FILTER (WHERE n > 3) FROM victims GROUP BY 1 HAVING max(n) > 1 ORDER BY 2"],
    ["SELECT row_number() OVER (ORDER BY n) FROM victims"],
    ["SELECT JSON_OBJECT('a': 1), ARRAY[1, 2], COALESCE(NULL, 1), GREATEST(1, 2)"],
    ["SELECT 1 OPERATOR(pg_catalog.+) 1, 1 = ANY (SELECT 1), 2 BETWEEN 1 AND 3"],
    ["TABLE victims"],
    ["VALUES (1), (2)"],
    ["EXPLAIN SELECT * FROM victims"],
    ["EXPLAIN (ANALYZE) SELECT * FROM victims"],
    ["BEGIN; SELECT 1; ROLLBACK"],
    ["PREPARE p AS SELECT 1"],
    ["BEGIN; DECLARE c CURSOR FOR SELECT 1; FETCH c; CLOSE c; COMMIT"],
    ["SHOW server_version"],
    ["SET statement_timeout = 5000"],
    ["SET TIME ZONE 'UTC'"],
    ["SET TRANSACTION READ ONLY"],
    ["LISTEN a"],
    ["SELECT score(1)"],
    ["SELECT pgml.predict('credit', ARRAY[1.0])"],
    ["SELECT n FROM information_schema.columns, victims LIMIT 1"],
    [""],
    [" ; ;"],
  ])("%s", async (text) => {
    const [reading] = readAll([text]);
    expect(await run([text])).toEqual([false]);
    expect([isNoticed(reading as Operation), reading?.unclear]).toEqual([false, undefined]);
  });

  it("is a prepared one that is run, too", async () => {
    const texts = ["PREPARE p AS SELECT 1", "EXECUTE p"];
    expect(await run(texts)).toEqual([false, false]);
    expect(readAll(texts).map(isNoticed)).toEqual([false, false]);
  });
});

describe("a WHERE that is read as keeping nothing out", () => {
  it.each([
    ["1 = 1"],
    ["NOT false"],
    ["id = id"],
    ["id = 1 OR true"],
    ["id = 5 OR NOT id = 5"],
    ["id IS NULL OR id IS NOT NULL"],
    ["name LIKE '%'"],
    ["'t'::bool"],
    ["E'\\x61' = 'a'"],
    ["U&'\\0061' = 'a'"],
    ["$$a$$ = 'a'"],
    ["(((1))) = 1 AND 2 > 1"],
    ["EXISTS (SELECT 1)"],
    ["now() > '2000-01-01'"],
    ["(1 = 1) IS TRUE"],
    ["(1 = 2) IS NOT TRUE"],
    ["1 IS NOT NULL"],
    ["'yes'::boolean AND 'on'::bool"],
    ["id IS NOT DISTINCT FROM id"],
    ["id BETWEEN id AND id"],
    ["id BETWEEN SYMMETRIC id AND victims.id"],
    ["id IN (id)"],
    ["id IN (7, id)"],
    ["id = ANY (ARRAY[id])"],
    ["coalesce(id, id) = id"],
    ["greatest(id, id) = least(id)"],
    ["ARRAY[id] = ARRAY[id]"],
    ["victims.id = public.victims.id"],
    ["id = victims.id"],
    ["(id)::bigint = id"],
    ["ctid IS NOT NULL"],
    ["victims.xmin IS NOT NULL"],
    ["name ~ ''"],
    ["name ~* '^.*$'"],
  ])("keeps nothing out: %s", async (where) => {
    const text = `DELETE FROM victims WHERE ${where}`;
    await owner.value(BANK);
    await owner.value(text);
    expect(await owner.value("SELECT count(*) FROM victims")).toBe("0");
    expect(describeSql([text], OPTIONS).kind).toBe("delete_without_where");
  });

  // The other way round nothing is promised (`id > -1`), but that it is a write.
  it.each([
    ["id > -1"],
    ["id IN (SELECT id FROM victims)"],
    ["CASE WHEN true THEN true ELSE id = 1 END"],
    ["id * 0 = 0"],
    ["id IS NOT NULL"],
  ])("is read as a write, whatever it keeps out: %s", async (where) => {
    const text = `DELETE FROM victims WHERE ${where}`;
    expect(await run([text])).toEqual([true]);
    expect(isNoticed(describeSql([text], OPTIONS))).toBe(true);
  });
});

/** Tables that a text has made the database open, whatever they are called in it. */
async function opened(text: string): Promise<string[]> {
  await owner.value(BANK);
  const client = await Peer.open(postgres);
  try {
    await client.value("BEGIN");
    await client.value(text);
    const pid = await client.value("SELECT pg_backend_pid()");
    // From outside: a table that it has dropped is still there.
    const tables =
      await owner.value(`SELECT string_agg(DISTINCT relname, ' ') FROM pg_locks JOIN pg_class AS c ON c.oid = relation
      WHERE pid = ${pid} AND relname IN ('victims', 'ledger')`);
    return tables.split(" ").filter((name) => name !== "");
  } finally {
    client.close();
  }
}

describe("each table that is opened is named", () => {
  it.each([
    ["SELECT * FROM victims"],
    ["SELECT 1 FROM victims AS ledgers, ledger AS l"],
    ['SELECT * FROM U&"v\\0069ctims"'],
    ["SELECT (SELECT max(id) FROM victims) FROM ledger"],
    ["SELECT 1 WHERE EXISTS (TABLE victims)"],
    ["UPDATE victims SET n = 1 FROM ledger WHERE ledger.id = victims.id"],
    ["DELETE FROM victims USING ledger WHERE ledger.id = victims.id"],
    ["INSERT INTO ledger SELECT id + 100, name FROM victims"],
    ["MERGE INTO victims v USING ledger l ON v.id = l.id WHEN MATCHED THEN DO NOTHING"],
    ["COPY victims TO STDOUT"],
    ["COPY (SELECT * FROM victims) TO STDOUT"],
    ["LOCK victims"],
    ["TRUNCATE ledger, victims"],
    ["CREATE TABLE other (LIKE victims)"],
    ["CREATE TABLE other AS TABLE victims"],
    ["EXPLAIN SELECT * FROM victims"],
    ["DECLARE c CURSOR FOR SELECT * FROM victims"],
    ["PREPARE p AS SELECT * FROM victims"],
    ["DROP TABLE ledger CASCADE"],
    ["ALTER TABLE victims ADD more int"],
    // A name of WITH hides a table where it stands, and nowhere else.
    ["WITH victims AS (SELECT 1) DELETE FROM victims WHERE id = 1"],
    ["WITH victims AS (SELECT * FROM victims) SELECT * FROM victims"],
    ["SELECT * FROM (WITH victims AS (SELECT 1) SELECT * FROM victims) AS x, victims"],
    ["WITH ledger AS (SELECT 1), x AS (SELECT * FROM public.ledger) SELECT * FROM x"],
  ])("%s", async (text) => {
    const really = await opened(text);
    const { sql, unclear } = describeSql([text], OPTIONS);
    const named = (sql?.tables ?? []).map((table) => table.split(".").at(-1));
    expect(really.length).toBeGreaterThan(0);
    if (unclear === undefined) expect(named).toEqual(expect.arrayContaining(really));
  });
});

/** How often the model's function was really called: there are 20 victims. */
async function calls(text: string): Promise<number> {
  await owner.value(BANK);
  await owner.value(text);
  return Number(await owner.value("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM asked"));
}

describe("a model is asked about no more rows than was read", () => {
  it.each([
    ["SELECT score(1)"],
    ["SELECT score(1), score(2)"],
    ["VALUES (score(1)), (score(2))"],
    ["SELECT score(id) FROM victims"],
    ["SELECT score(id) FROM victims LIMIT 5"],
    ["SELECT score(id) FROM victims FETCH FIRST 5 ROWS ONLY"],
    ["(SELECT score(id) FROM victims LIMIT 1) UNION ALL SELECT score(id) FROM victims"],
    ["INSERT INTO ledger SELECT id + 100, score(id)::text FROM victims"],
    ["UPDATE victims SET n = score(id)"],
    ["SELECT 1; SELECT score(id) FROM victims LIMIT 2; SELECT score(1)"],
    // A LIMIT counts rows that come out, and not those that the model is asked about.
    ["SELECT array_agg(score(id)) FROM victims LIMIT 1"],
    ["SELECT sum(score(id)) FROM victims LIMIT 1"],
    ["SELECT id FROM victims ORDER BY score(id) LIMIT 1"],
    ["SELECT id FROM victims WHERE score(id) > 0.9 LIMIT 1"],
    ["SELECT DISTINCT score(id) FROM victims LIMIT 1"],
    ["SELECT score(id) FROM victims LIMIT 1 OFFSET 10"],
    ["SELECT score(n) FROM victims GROUP BY score(n) LIMIT 1"],
    ["SELECT max(score(id)) OVER () FROM victims LIMIT 1"],
    ["WITH s AS MATERIALIZED (SELECT score(id) AS p FROM victims) SELECT array_agg(p) FROM s LIMIT 1"],
    ["SELECT array_agg(p) FROM (SELECT score(id) AS p FROM victims) AS s LIMIT 1"],
    ["SELECT (SELECT array_agg(score(id)) FROM victims)"],
    ["SELECT ARRAY(SELECT score(id) FROM victims)"],
    ["VALUES ((SELECT sum(score(id)) FROM victims))"],
    ["SELECT score(generate_series(1, 20))"],
    ["SELECT score(1), generate_series(1, 20)"],
    ["SELECT 1 FROM ledger JOIN victims ON score(victims.id) > 2 LIMIT 1"],
    ["SELECT 1 FROM victims ORDER BY (SELECT score(victims.id)) LIMIT 1"],
    ["INSERT INTO ledger VALUES (50, (SELECT sum(score(id)) FROM victims)::text)"],
  ])("%s", async (text) => {
    const { rows } = describeSql([text], OPTIONS);
    const really = await calls(text);
    expect(really).toBeGreaterThan(0);
    expect(rows ?? 0).toBeGreaterThanOrEqual(really);
  });
});

describe("PostgreSQL's own functions", () => {
  it("that are known to do nothing are not volatile, but for those that only give another answer each time", async () => {
    const volatile = await owner.value(
      "SELECT string_agg(DISTINCT proname, ' ') FROM pg_proc WHERE provolatile = 'v' AND pronamespace = 'pg_catalog'::regnamespace",
    );
    const known = volatile.split(" ").filter((name) => KNOWN_FUNCTIONS.has(name));
    expect(known.sort()).toEqual([
      ...["clock_timestamp", "gen_random_uuid", "pg_database_size", "pg_is_in_recovery", "pg_relation_size"],
      ...["pg_total_relation_size", "random", "random_normal", "setseed", "timeofday", "uuidv7"],
    ]);
  });
});

/**
 * What stands in the database and not in the text: nobody can tell it from a text. That such things are not there, or that the
 * agent's role has no right to what they do, is for the bank's own database to see to.
 */
describe("what no text tells", () => {
  it.each([
    ["a view that calls a function", "SELECT * FROM innocent"],
    ["a function that is written as a column", "SELECT v.gone FROM victims AS v LIMIT 1"],
    ["the same of a row", "SELECT (v).gone FROM victims AS v LIMIT 1"],
    ["a type whose values are checked by a function", "SELECT 'x'::label"],
    ["an operator that the database has more than PostgreSQL", "SELECT 1 ### 2"],
  ])("%s", async (_what, text) => {
    expect(await run([text])).toEqual([true]);
    expect(describeSql([text], OPTIONS).kind).toBe("select");
  });
});
