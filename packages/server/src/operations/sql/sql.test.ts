import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { describeSql, loadSqlParser, readSql, sameShape } from "./sql.ts";

beforeAll(loadSqlParser);

const options = { modelFunctions: ["predict_default"], readFunctions: ["risk.band"] };
const ask = (...texts: string[]) => describeSql(texts, options);

describe("what a statement is", () => {
  it.each([
    ["SELECT abalance FROM pgbench_accounts WHERE aid = 1", "select"],
    ["select 1; select 2", "select"],
    ["VALUES (1), (2)", "select"],
    ["SHOW server_version", "select"],
    ["SELECT count(*), max(income) FROM applicants", "select"],
    ["SELECT predict_default(1, 2)", "model_call"],
    ["SELECT * FROM pgml.predict('credit', ARRAY[1.0])", "model_call"],
    ["INSERT INTO decisions VALUES (1, 2)", "insert"],
    ["UPDATE t SET a = 1 WHERE id = 2", "update"],
    ["UPDATE t SET a = 1", "update_without_where"],
    ["DELETE FROM t WHERE id = 2", "delete"],
    ["DELETE FROM t", "delete_without_where"],
    ["MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE", "merge"],
    ["TRUNCATE t", "truncate"],
    ["CREATE TABLE t (a int)", "ddl"],
    ["CREATE TABLE t AS SELECT 1", "ddl"],
    ["SELECT 1 INTO t", "ddl"],
    ["CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM t; SELECT 1'", "ddl"],
    ["DROP TABLE t", "ddl"],
    ["ALTER TABLE t ADD b int", "ddl"],
    ["COPY t TO STDOUT", "copy_out"],
    ["COPY t FROM STDIN", "copy_in"],
    ["COPY t TO PROGRAM 'sh'", "copy_program"],
    ["COPY t FROM '/etc/passwd'", "file_access"],
    ["DO $$ BEGIN DELETE FROM t; END $$", "do"],
    ["CALL wipe()", "call"],
    ["SELECT wipe()", "call"],
    ["GRANT ALL ON t TO bob", "grant"],
    ["CREATE ROLE bob", "grant"],
    ["SET ROLE bob", "set_role"],
    ["RESET ROLE", "set_role"],
    ["SET SESSION AUTHORIZATION bob", "set_role"],
    ["SELECT set_config('role', 'bob', false)", "set_role"],
    ["SET statement_timeout = 5", "set"],
    ["BEGIN", "transaction"],
    ["EXPLAIN SELECT 1", "explain"],
    ["PREPARE p AS SELECT 1", "prepare"],
    ["DECLARE c CURSOR FOR SELECT 1", "cursor"],
    ["LISTEN a", "listen"],
    ["NOTIFY a, 'x'", "notify"],
    ["LOCK t", "lock"],
    ["VACUUM", "maintenance"],
    ["SELECT lo_import('/etc/passwd')", "file_access"],
    ["SELECT lo_get(1)", "large_object"],
    ["SELECT pg_read_file('/etc/passwd')", "file_access"],
    ["", "metadata"],
    [";;", "metadata"],
  ])("%s: %s", (text, kind) => {
    expect(ask(text).kind).toBe(kind);
  });

  it("names tables and functions as PostgreSQL folds them", () => {
    const { sql } = ask('SELECT Lower(a) FROM Public.Applicants, "Mixed" JOIN x ON true');
    expect(sql).toMatchObject({ tables: ["public.applicants", "Mixed", "x"], functions: ["lower"] });
    expect(ask("UPDATE t SET a = 1 WHERE id = 1").sql?.tables).toEqual(["t"]);
  });
});

describe("a condition that keeps nothing out", () => {
  it.each([
    ["true"],
    ["1 = 1"],
    ["'a' = 'a'"],
    ["id = 1 OR true"],
    ["NOT false"],
    ["id = id"],
    ["id = 5 OR NOT id = 5"],
    ["id IS NULL OR id IS NOT NULL"],
    ["name LIKE '%'"],
    ["'t'::bool"],
    ["1 < 2 AND 3 > 2"],
    ["now() > '2000-01-01'"],
    ["$1 = 1"],
    ["length('a') = 1"],
    ["EXISTS (SELECT 1)"],
  ])("WHERE %s", (where) => {
    expect(ask(`DELETE FROM t WHERE ${where}`).kind).toBe("delete_without_where");
  });

  it.each([
    ["id = 1"],
    ["id > 5 AND true"],
    ["name LIKE 'a%'"],
    ["id IN (1, 2)"],
    ["CURRENT OF c"],
    ["id = other_id"],
    ["t.id = u.id"],
    ["id = ANY (ARRAY[1, 2])"],
    ["id = ANY ($1)"],
    ["id BETWEEN 1 AND id"],
    ["coalesce(id, 0) = id"],
    ["name ~ '^$'"],
    ["name ~ '^a'"],
    ["id IS NOT NULL AND id = 3"],
    ["id NOT IN (id)"],
    ["id <> ALL (ARRAY[id])"],
  ])("is not WHERE %s", (where) => {
    expect(ask(`DELETE FROM t WHERE ${where}`).kind).toBe("delete");
  });
});

describe("rows of a model's call", () => {
  it.each([
    ["SELECT predict_default(1, 2)", 1],
    ["SELECT predict_default(1, 2), predict_default(3, 4)", 2],
    ["SELECT predict_default(income, debt) FROM applicants", Number.MAX_SAFE_INTEGER],
    ["SELECT predict_default(income, debt) FROM applicants LIMIT 50", 50],
    ["SELECT predict_default(income, debt) FROM applicants FETCH FIRST 7 ROWS ONLY", 7],
    ["SELECT 1; SELECT predict_default(1, 2)", 1],
    ["INSERT INTO t VALUES (1), (2), (3)", 3],
    ["SELECT * FROM t LIMIT 9", 9],
    ["SELECT pgml.predict('m', ARRAY[1, 2, 3])", 1],
    ["SELECT pgml.predict_batch('m', ARRAY[[1], [2], [3]])", 3],
    ["SELECT pgml.predict_batch('m', $1)", Number.MAX_SAFE_INTEGER],
    ["SELECT pgml.predict_batch('m', '{{1},{2}}'::real[])", Number.MAX_SAFE_INTEGER],
    ["SELECT pgml.embed('m', 'one text')", 1],
    ["SELECT pgml.embed('m', $1::text, '{}'::jsonb)", 1],
    ["SELECT pgml.embed('m', ARRAY['a', 'b', 'c'])", 3],
    ["SELECT pgml.embed('m', ARRAY['a', 'b']::text[]), pgml.embed('m', 'c')", 3],
    ["SELECT pgml.embed('m', (SELECT array_agg(body) FROM docs))", Number.MAX_SAFE_INTEGER],
    ["SELECT pgml.transform('t'::jsonb, inputs => ARRAY['a', 'b'])", 2],
    ["SELECT pgml.transform('t'::jsonb, '{}'::jsonb, $1)", Number.MAX_SAFE_INTEGER],
    ["SELECT pgml.embed('m', ARRAY['a', 'b']) FROM t LIMIT 5", 10],
    ["SELECT pgml.embed('m', body) FROM docs LIMIT 5", Number.MAX_SAFE_INTEGER],
    ["SELECT pgml.embed('m', body::text) FROM docs LIMIT 5", 5],
  ])("%s: %i", (text, rows) => {
    expect(ask(text).rows).toBe(rows);
  });

  it("names the model", () => {
    expect(ask("SELECT pgml.predict('credit', ARRAY[1])").model).toBe("credit");
    expect(ask("SELECT predict_default(1, 2)").model).toBe("predict_default");
  });
});

describe("what is more than it looks", () => {
  it.each([
    ["SELECT * FROM t FOR UPDATE", "lock"],
    ["SELECT * FROM (SELECT * FROM t FOR KEY SHARE) AS x", "lock"],
    ["COMMIT AND CHAIN", "transaction"],
    ["INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1", "update"],
    ["MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE", "delete_without_where"],
    ["MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = 1", "merge"],
    ["DELETE FROM t WHERE EXISTS (SELECT x FROM u WHERE u.y = 1)", "delete_without_where"],
    ["DELETE FROM t USING u WHERE u.y = 1", "delete_without_where"],
    ["DELETE FROM t WHERE id = 1 OR id <> 1", "delete_without_where"],
    ["DELETE FROM t WHERE '5' = 5", "delete_without_where"],
  ])("%s is %s", (text, kind) => {
    expect(ask(text)).toMatchObject({ kind });
    expect(ask(text).unclear).toBeUndefined();
  });

  it.each([["PREPARE TRANSACTION 'x'"], ["COMMIT PREPARED 'x'"], ["ROLLBACK PREPARED 'x'"]])("%s", (text) => {
    expect(ask(text).kind).toBe("other");
    expect(ask(text).unclear).toBeDefined();
  });

  it("a constant that a cast changes is none", () => {
    // 'roles' cut to four characters is "role".
    expect(ask("SELECT set_config('roles'::varchar(4), 'admin', false)").unclear).toBeDefined();
    expect(ask("SELECT predict_default(1, 2) FROM t LIMIT 1::bit(32)::bit(40)::int8").rows).toBe(
      Number.MAX_SAFE_INTEGER,
    );
    expect(ask("SELECT predict_default(1, 2) FROM t LIMIT 5::bigint").rows).toBe(5);
  });

  it("an UPDATE of pg_settings is a SET of who knows what", () => {
    for (const view of ["pg_settings", "pg_catalog.pg_settings"]) {
      const { sql, unclear } = ask(`UPDATE ${view} SET setting = 'x' WHERE name = 'search_path'`);
      expect(sql?.kinds).toContain("set");
      expect(unclear).toBeDefined();
    }
  });
});

describe("what is not certain", () => {
  it.each([
    ["SELEC 1"],
    ["DO $$ BEGIN END $$"],
    ["SELECT wipe()"],
    ["SELECT query_to_xml('DELETE FROM t', true, true, '')"],
    ["SET search_path = evil"],
    ["SELECT set_config('search_path', 'evil', false)"],
    ["SELECT set_config(a, 'x', false) FROM t"],
    ["SET client_encoding = 'SJIS'"],
    ["SET NAMES 'SJIS'"],
    ["SET standard_conforming_strings = off"],
    ["EXECUTE p"],
    ["SELECT 1 OPERATOR(evil.+) 2"],
    ["SELECT '\0'"],
    ["\\d applicants"],
  ])("%s", (text) => {
    expect(ask(text).unclear).toBeTypeOf("string");
  });

  it.each([
    ["SET client_encoding = 'UTF8'"],
    ["SET timezone = 'UTC'"],
    ["SELECT risk.band(1)"],
    ["SELECT 1 OPERATOR(pg_catalog.+) 2"],
    ["SELECT pg_catalog.format_type(1, NULL), current_setting('a')"],
  ])("is not %s", (text) => {
    expect(ask(text).unclear).toBeUndefined();
  });

  it("is a prepared statement only where nobody knows it", () => {
    const prepared = (name: string) => (name === "p" ? readSql("DELETE FROM t") : undefined);
    expect(describeSql(["EXECUTE p"], { ...options, prepared })).toMatchObject({ kind: "delete_without_where" });
    expect(describeSql(["EXECUTE p"], { ...options, prepared }).unclear).toBeUndefined();
  });
});

it("never throws, whatever the text", () => {
  const word = fc.constantFrom(
    "SELECT",
    "(",
    ")",
    "$$",
    "'",
    '"',
    "/*",
    "*/",
    "--",
    "\n",
    ";",
    "a",
    "1",
    "E'\\",
    "FROM",
    "WITH",
  );
  const texts = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(word).map((words) => words.join(" ")),
  );
  fc.assert(
    fc.property(texts, (text) => typeof ask(text).kind === "string"),
    { numRuns: 500 },
  );
  expect(ask(`SELECT ${"(".repeat(20_000)}1${")".repeat(20_000)}`).unclear).toBeTypeOf("string");
  expect(ask(`SELECT ${"1+".repeat(20_000)}1`).kind).toBeTypeOf("string");
  // A parser that was driven to its end still reads what comes next.
  expect(ask("DELETE FROM t").kind).toBe("delete_without_where");
});

it("knows texts that differ in constants alone", () => {
  expect(sameShape("SELECT * FROM t WHERE ssn = '1'", "SELECT * FROM t WHERE ssn = '[US_SSN]'")).toBe(true);
  expect(sameShape("SELECT * FROM t WHERE ssn = 1", "SELECT * FROM t WHERE ssn = [US_SSN]")).toBe(false);
  expect(sameShape("SELECT a FROM t", "SELECT b FROM t")).toBe(false);
});
