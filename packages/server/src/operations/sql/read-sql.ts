import { setFlagsFromString } from "node:v8";
import { fingerprintSync, loadModule, parseSync } from "libpg-query";
import { constantOf, keepsNothingOut } from "./constant.ts";
import { kindOfNode, type SqlKind } from "./kinds.ts";
import { as, isNode, list, type Node, names, textOf, visit } from "./parse-tree.ts";

/** One statement, with everything that is nested in it. */
export interface SqlStatement {
  /** Of the statement and of all that are in it. */
  readonly kinds: readonly SqlKind[];
  /** As the text names them, folded: `applicants`, `public.applicants`. */
  readonly tables: readonly string[];
  /** Names of each function that is called, split at the dots. */
  readonly functions: readonly (readonly string[])[];
  /** The rows that the outermost select can give, where a constant LIMIT says so. */
  readonly limit?: number;
  /** Functions that stand in the select's own list, under nothing else. */
  readonly direct: readonly (readonly string[])[];
  /** Each of those is called once at most: there is no row but one. */
  readonly once: boolean;
  /** Each of those is called once a row that comes out, so that a LIMIT bounds them. */
  readonly capped: boolean;
  /** Rows of an INSERT's or a select's VALUES. */
  readonly values?: number;
  /** Parameters that SET or set_config changes. */
  readonly settings: readonly string[];
  readonly prepares?: { readonly name: string; readonly statement: string };
  /** The name that EXECUTE runs. */
  readonly executes?: string;
  /** Text constants: what a person wrote. */
  readonly texts: readonly string[];
  /** How many elements the arrays among the arguments of each function may have, by its place in `functions`. */
  readonly elements: readonly number[];
  /** First constant text argument of each function, by its place in `functions`. */
  readonly firstArguments: readonly (string | undefined)[];
}

export interface SqlReading {
  readonly statements: readonly SqlStatement[];
  /** Why it is not certain what the text asks for, in words that quote nothing of it. */
  readonly unclear?: string;
}

const MAX_TEXT = 1_048_576;
const MAX_STATEMENTS = 1_000;
const MAX_CACHED = 1_000;
const MAX_CACHED_TEXT = 16_384;

/** Parameters that change how texts are read, where names are looked up, or in which form answers come. */
const TELLING: ReadonlyMap<string, string> = new Map([
  ["search_path", "it changes where names are looked up"],
  ["client_encoding", "it changes in which encoding answers come"],
  ["standard_conforming_strings", "it changes how texts are read"],
  ["backslash_quote", "it changes how texts are read"],
  ["escape_string_warning", "it changes how texts are read"],
  ["transform_null_equals", "it changes how conditions are read"],
  ["xmloption", "it changes how texts are read"],
  ["session_preload_libraries", "it loads code"],
  ["local_preload_libraries", "it loads code"],
  ["dynamic_library_path", "it loads code"],
  ["session_replication_role", "it turns rules and triggers off"],
  ["event_triggers", "it turns triggers off"],
  ["row_security", "it changes which rows are seen"],
]);
const ROLES: ReadonlySet<string> = new Set(["role", "session_authorization"]);

let loaded: Promise<void> | undefined;

/** Once, before the first `readSql`. */
export function loadSqlParser(): Promise<void> {
  loaded ??= withoutOptimizer(loadModule);
  return loaded;
}

/**
 * V8 compiles a WebAssembly function anew when it is often called. For the parser's largest that takes 500 MiB for a second, and
 * saves 2 µs a text of 11. The flags hold for what is compiled from now on; there is nothing else of WebAssembly in a server
 * that is asked often.
 *
 * The first time it compiles what is called for the first time, 10 to 20 ms in all: at the start, and not in somebody's call.
 */
async function withoutOptimizer(load: () => Promise<void>): Promise<void> {
  setFlagsFromString("--no-wasm-tier-up");
  setFlagsFromString("--no-wasm-dynamic-tiering");
  await load();
  parseSync(WARM);
}

const WARM =
  "WITH x AS (SELECT a, count(*) FROM t JOIN u USING (id) WHERE b = $1 AND c LIKE 'x' OR d IN (1, 2.5) GROUP BY a ORDER BY 1 LIMIT 5) " +
  "SELECT f(a::text, ARRAY[1]), CASE WHEN a IS NULL THEN 0 ELSE -1 END AS n FROM x; UPDATE t SET a = 1 WHERE id = 2";

const cache = new Map<string, SqlReading>();

/** What an SQL text asks for, read by PostgreSQL's own parser. Total: whatever came, there is an answer. */
export function readSql(text: string): SqlReading {
  const known = cache.get(text);
  if (known !== undefined) return known;
  const reading = read(text);
  if (text.length <= MAX_CACHED_TEXT) {
    if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value as string);
    cache.set(text, reading);
  }
  return reading;
}

/** Whether two texts differ in their constants alone. */
export function sameShape(before: string, after: string): boolean {
  try {
    return fingerprintSync(before) === fingerprintSync(after);
  } catch {
    return false;
  }
}

const nothing = (unclear: string): SqlReading => ({ statements: [], unclear });

function read(text: string): SqlReading {
  if (text.length > MAX_TEXT) return nothing("it is too long to be read");
  if (text.includes("\0")) return nothing("it holds a NUL");
  if (!/[^\s;]/.test(text)) return { statements: [] };
  let parsed: Node;
  try {
    parsed = parseSync(text) as unknown as Node;
  } catch {
    return nothing("it is no SQL that PostgreSQL's parser reads");
  }
  const raw = list(parsed.stmts);
  if (raw.length > MAX_STATEMENTS) return nothing("it has too many statements");
  const unclear = new Set<string>();
  try {
    const bytes = Buffer.from(text);
    const statements = raw.map((item) => statementOf(item as Node, bytes, unclear));
    const [first] = unclear;
    return { statements, ...(first === undefined ? {} : { unclear: first }) };
  } catch (error) {
    return nothing((error as Error).message.slice(0, 100));
  }
}

function statementOf(raw: Node, bytes: Buffer, unclear: Set<string>): SqlStatement {
  const kinds = new Set<SqlKind>();
  const tables = new Set<string>();
  const functions: string[][] = [];
  const firstArguments: (string | undefined)[] = [];
  const elements: number[] = [];
  const settings = new Set<string>();
  const texts: string[] = [];
  let executes: string | undefined;
  const set = (name: string, value: unknown): void => {
    const lower = name.toLowerCase();
    settings.add(lower);
    kinds.add(ROLES.has(lower) ? "set_role" : "set");
    const why = TELLING.get(lower);
    if (why !== undefined && !(lower === "client_encoding" && /^utf-?8$/i.test(textOf(value)))) unclear.add(why);
  };
  visit(raw.stmt, (type, members) => {
    const kind = kindOfNode(type);
    if (kind !== undefined) kinds.add(kind);
    switch (type) {
      case "UpdateStmt":
        kinds.delete("other");
        kinds.add(keepsNothingOut(members.whereClause, members.fromClause) ? "update_without_where" : "update");
        // The view has a rule that makes a SET of it.
        if ((members.relation as Node | undefined)?.relname === "pg_settings") {
          kinds.add("set");
          unclear.add("it sets a parameter whose name is not a constant");
        }
        break;
      case "DeleteStmt":
        kinds.delete("other");
        kinds.add(keepsNothingOut(members.whereClause, members.usingClause) ? "delete_without_where" : "delete");
        break;
      case "InsertStmt":
        // What is there already is changed.
        if (isNode(members.onConflictClause) && members.onConflictClause.action === "ONCONFLICT_UPDATE")
          kinds.add("update");
        break;
      case "MergeStmt":
        for (const kind of mergeKinds(members)) kinds.add(kind);
        break;
      case "TransactionStmt":
        if (/PREPARE/.test(textOf(members.kind))) {
          kinds.add("other");
          unclear.add("it parts a transaction from its connection, or ends such a one");
        }
        break;
      case "CopyStmt":
        kinds.delete("other");
        kinds.add(copyKind(members));
        break;
      case "DoStmt":
        unclear.add("it runs code of another language");
        break;
      case "VariableSetStmt":
        kinds.delete("other");
        setOf(members, set);
        break;
      case "LockingClause":
        kinds.add("lock");
        break;
      case "ExecuteStmt":
        executes = textOf(members.name);
        break;
      case "SubLink":
        foreignOperator(members.operName, unclear);
        break;
      case "SortBy":
        foreignOperator(members.useOp, unclear);
        break;
      case "DropStmt":
        for (const object of list(members.objects)) {
          const parts = names(as(object, "List")?.items ?? [object]).filter((part) => part !== "");
          if (parts.length > 0) tables.add(parts.join("."));
        }
        break;
      case "RangeVar":
        tables.add(tableName(members));
        break;
      case "FuncCall": {
        const called = names(members.funcname);
        functions.push(called);
        const first = constantOf(list(members.args)[0]);
        firstArguments.push(typeof first === "string" ? first : undefined);
        elements.push(Math.max(...list(members.args).map(elementsIn), 1));
        if (called.at(-1) === "set_config") setConfig(list(members.args), set, unclear);
        break;
      }
      case "A_Expr":
        foreignOperator(members.name, unclear);
        break;
      case "A_Const":
        if (isNode(members.sval) && texts.length < 64) texts.push(textOf(members.sval.sval));
        break;
    }
  });
  // Nodes that stand without their type's name: the table of an UPDATE, a DELETE, an INSERT.
  visitStructs(raw.stmt, (members) => {
    if (typeof members.relname === "string") tables.add(tableName(members));
    if (isNode(members.intoClause)) kinds.add("ddl");
  });
  const call = as(raw.stmt, "CallStmt");
  if (call !== undefined && isNode(call.funccall)) {
    functions.push(names(call.funccall.funcname));
    firstArguments.push(undefined);
    elements.push(1);
  }
  const prepared = as(raw.stmt, "PrepareStmt");
  const select = as(raw.stmt, "SelectStmt");
  const limit = select === undefined ? undefined : limitOf(select);
  const values = valuesOf(raw.stmt);
  return {
    kinds: [...kinds],
    // With the names of WITH: what a name means depends on where it stands, and a table must not hide behind one.
    tables: [...tables],
    functions,
    firstArguments,
    elements,
    ...shapeOf(select),
    settings: [...settings],
    texts,
    ...(limit === undefined ? {} : { limit }),
    ...(values === undefined ? {} : { values }),
    ...(executes === undefined ? {} : { executes }),
    ...(prepared === undefined
      ? {}
      : { prepares: { name: textOf(prepared.name), statement: statementText(raw, bytes) } }),
  };
}

/** A PREPARE's own text: what it runs stands in it. */
function statementText(raw: Node, bytes: Buffer): string {
  const from = Number(raw.stmt_location ?? 0);
  const length = Number(raw.stmt_len ?? 0);
  return bytes.subarray(from, length === 0 ? undefined : from + length).toString("utf8");
}

function tableName({ catalogname, schemaname, relname }: Node): string {
  return [catalogname, schemaname, relname].filter((part) => textOf(part) !== "").join(".");
}

/** Visits every struct, those too that stand without the name of their type. */
function visitStructs(value: unknown, see: (members: Node) => void, depth = 0): void {
  if (depth > 2_000) throw new RangeError("it is nested too deeply");
  if (Array.isArray(value)) {
    for (const item of value) visitStructs(item, see, depth + 1);
    return;
  }
  if (!isNode(value)) return;
  see(value);
  for (const inner of Object.values(value)) visitStructs(inner, see, depth + 1);
}

function foreignOperator(operator: unknown, unclear: Set<string>): void {
  const parts = names(operator);
  if (parts.length > 1 && parts[0] !== "pg_catalog") {
    unclear.add("it names an operator by its schema, and an operator is a function");
  }
}

/**
 * How often the functions of a select's own list are called: once a row that comes out, where nothing else can make it more. What
 * is under another function, in a sub-select, a condition or an order is called as often as there are rows.
 */
function shapeOf(select: Node | undefined): Pick<SqlStatement, "direct" | "once" | "capped"> {
  if (select === undefined) return { direct: [], once: false, capped: false };
  const direct = list(select.targetList).flatMap((target) => {
    const call = as(as(target, "ResTarget")?.val, "FuncCall");
    const plain =
      call !== undefined && call.over === undefined && call.agg_order === undefined && call.agg_filter === undefined;
    return plain ? [names(call.funcname)] : [];
  });
  let subSelects = false;
  let inList = 0;
  visit(select, (type) => {
    if (type === "SubLink" || type === "SelectStmt") subSelects = true;
  });
  visit(select.targetList, (type) => {
    if (type === "FuncCall") inList += 1;
  });
  const single =
    select.op === "SETOP_NONE" &&
    ![
      "withClause",
      "groupClause",
      "distinctClause",
      "havingClause",
      "windowClause",
      "limitOffset",
      // Rows that are locked, and passed over, are so after the call.
      "lockingClause",
      "sortClause",
      "valuesLists",
    ].some((member) => select[member] !== undefined);
  const alone = single && inList === direct.length;
  return { direct, once: alone && list(select.fromClause).length === 0 && !subSelects, capped: alone };
}

/** What a MERGE does to the rows that are there, beside being one. */
function mergeKinds({ mergeWhenClauses, joinCondition, sourceRelation }: Node): SqlKind[] {
  return list(mergeWhenClauses).flatMap((item): SqlKind[] => {
    const { commandType, condition } = as(item, "MergeWhenClause") ?? {};
    const all = keepsNothingOut(joinCondition, sourceRelation) && keepsNothingOut(condition, sourceRelation);
    if (commandType === "CMD_DELETE") return [all ? "delete_without_where" : "delete"];
    if (commandType === "CMD_UPDATE") return [all ? "update_without_where" : "update"];
    return commandType === "CMD_INSERT" ? ["insert"] : [];
  });
}

function copyKind({ is_from, is_program, filename }: Node): SqlKind {
  if (is_program === true) return "copy_program";
  if (textOf(filename) !== "") return "file_access";
  return is_from === true ? "copy_in" : "copy_out";
}

function setOf({ kind, name, args }: Node, set: (name: string, value: unknown) => void): void {
  if (kind === "VAR_RESET_ALL") set("all", undefined);
  // `SET TRANSACTION …` and `SET SESSION CHARACTERISTICS` name no parameter of ours.
  else if (kind === "VAR_SET_MULTI") set(textOf(name).toLowerCase(), undefined);
  // What it is set back to is what the start-up said, or the database's own.
  else if (kind === "VAR_RESET" || kind === "VAR_SET_DEFAULT") set(resets(textOf(name)), "utf8");
  else set(textOf(name), constantOf(list(args)[0]));
}

/** Setting back a role is a change of role; setting back an encoding gives the one that was asked for. */
const resets = (name: string): string => name;

function setConfig(args: readonly unknown[], set: (name: string, value: unknown) => void, unclear: Set<string>): void {
  const name = constantOf(args[0]);
  if (typeof name !== "string") unclear.add("it sets a parameter whose name is not a constant");
  else set(name, constantOf(args[1]));
}

/** How many elements an argument has, where it is an array or may be one; a text that is written out is one text. */
function elementsIn(argument: unknown): number {
  const value = as(argument, "NamedArgExpr")?.arg ?? argument;
  const cast = as(value, "TypeCast");
  const array = as(cast?.arg ?? value, "A_ArrayExpr");
  if (array !== undefined) return list(array.elements).reduce<number>((sum, item) => sum + elementsIn(item), 0);
  const bounds = (cast?.typeName as Node | undefined)?.arrayBounds;
  if (bounds !== undefined) return Number.POSITIVE_INFINITY;
  return cast !== undefined || constantOf(value) !== undefined ? 1 : Number.POSITIVE_INFINITY;
}

function limitOf({ limitCount }: Node): number | undefined {
  const limit = limitCount === undefined ? undefined : constantOf(limitCount);
  return typeof limit === "number" && limit >= 0 ? Math.ceil(limit) : undefined;
}

function valuesOf(stmt: unknown): number | undefined {
  const insert = as(stmt, "InsertStmt");
  const select = insert === undefined ? as(stmt, "SelectStmt") : as(insert.selectStmt, "SelectStmt");
  const rows = list(select?.valuesLists).length;
  return rows === 0 ? undefined : rows;
}
