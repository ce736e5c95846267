import type { Operation } from "../operation.ts";
import { type FunctionMeaning, matcher, meaningOf, takesMany } from "./functions.ts";
import { type SqlKind, worstKind } from "./kinds.ts";
import { readSql, type SqlReading, type SqlStatement } from "./read-sql.ts";

export { loadSqlParser, readSql, type SqlReading, sameShape } from "./read-sql.ts";

export interface SqlOptions {
  /** Functions that ask a model: `predict_default`, `models.predict`, `models.*`. Those of pgml and madlib are known. */
  readonly modelFunctions: readonly string[];
  /** Functions that only read. */
  readonly readFunctions?: readonly string[];
  /** What a name stands for that EXECUTE runs. */
  readonly prepared?: (name: string) => SqlReading | undefined;
}

const MAX_TEXTS = 64;
const MAX_CHARACTERS = 65_536;
/** How deep names may stand for texts that run names. */
const MAX_EXECUTES = 4;

/**
 * What texts ask for that a client sends together. The kind is that of the worst of all their statements. `rows`: of a call of
 * a model, as many as it may be asked about, and no limit is as many as there are.
 */
export function describeSql(texts: readonly string[], options: SqlOptions): Operation {
  const isModel = matcher(options.modelFunctions, true);
  const isRead = matcher(options.readFunctions ?? [], false);
  const statements: SqlStatement[] = [];
  let unclear: string | undefined;
  const add = (reading: SqlReading, depth: number): void => {
    unclear ??= reading.unclear;
    for (const statement of reading.statements) {
      statements.push(statement);
      if (statement.executes === undefined) continue;
      const prepared = depth < MAX_EXECUTES ? options.prepared?.(statement.executes) : undefined;
      if (prepared === undefined) unclear ??= "it runs a prepared statement that is not known on this connection";
      else add(prepared, depth + 1);
    }
  };
  for (const text of texts) add(readSql(text), 0);
  const kinds = new Set<SqlKind>();
  let model: string | undefined;
  let rows: number | undefined;
  for (const statement of statements) {
    const meanings = statement.functions.map((names): FunctionMeaning => {
      return isRead(names.join(".")) ? { kind: "select" } : meaningOf(names, isModel);
    });
    for (const kind of statement.kinds) kinds.add(kind);
    for (const meaning of meanings) {
      if (meaning.kind !== "select") kinds.add(meaning.kind);
      unclear ??= meaning.unclear;
    }
    const asked = meanings.flatMap(({ kind }, i) => (kind === "model_call" ? [i] : []));
    const [first] = asked;
    if (first !== undefined) model ??= statement.firstArguments[first] ?? statement.functions[first]?.join(".");
    const counted = rowsOf(statement, asked, isModel);
    if (counted !== undefined) rows = Math.min(Number.MAX_SAFE_INTEGER, (rows ?? 0) + counted);
  }
  return {
    kind: statements.length === 0 && unclear === undefined ? "metadata" : worstKind([...kinds]),
    ...(model === undefined ? {} : { model }),
    ...(rows === undefined ? {} : { rows }),
    sql: {
      kinds: [...kinds],
      tables: unique(statements.flatMap(({ tables }) => tables)),
      functions: unique(statements.flatMap(({ functions }) => functions.map((names) => names.join(".")))),
      statements: statements.length,
    },
    ...textsOf(statements),
    ...(unclear === undefined ? {} : { unclear }),
  };
}

/**
 * Of a model's calls as many as there may be; where that is not certain, as many as there are rows anywhere.
 * @param asked places of the model's functions in the statement's
 */
function rowsOf(
  statement: SqlStatement,
  asked: readonly number[],
  isModel: (name: string) => boolean,
): number | undefined {
  if (asked.length === 0) return statement.values ?? statement.limit;
  const direct = statement.direct.filter((names) => isModel(names.join("."))).length;
  if (direct === asked.length && statement.direct.length === direct) {
    const inputs = asked.reduce((sum, i) => {
      return sum + (takesMany(statement.functions[i]?.join(".") ?? "") ? (statement.elements[i] ?? 1) : 1);
    }, 0);
    if (statement.once) return Math.min(inputs, Number.MAX_SAFE_INTEGER);
    if (statement.capped && statement.limit !== undefined) {
      return Math.min(statement.limit * inputs, Number.MAX_SAFE_INTEGER);
    }
  }
  return Number.MAX_SAFE_INTEGER;
}

const unique = (names: readonly string[]): string[] => [...new Set(names)];

function textsOf(statements: readonly SqlStatement[]): { texts?: readonly string[] } {
  const texts: string[] = [];
  let left = MAX_CHARACTERS;
  for (const text of statements.flatMap((statement) => statement.texts)) {
    if (texts.length >= MAX_TEXTS || left <= 0) break;
    texts.push(text.slice(0, left));
    left -= text.length;
  }
  return texts.length === 0 ? {} : { texts };
}
