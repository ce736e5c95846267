import { Environment } from "@marcbachmann/cel-js";

/**
 * A rule's condition in CEL (Common Expression Language), with the variables of this gateway. It is type-checked when it is
 * read, ends always (CEL has no loops without a bound), and sees nothing but the question.
 */
export interface Condition {
  /** Its verdict depends on what stands in the request's body. */
  readonly readsBody: boolean;
  /** It speaks of how many rows a call asks for. */
  readonly readsRows: boolean;
  /** @throws whatever goes wrong at run time: a member that is not there, a division by zero */
  evaluate(context: object): boolean;
}

const LIMITS = { maxAstNodes: 2_000, maxDepth: 60, maxListElements: 500, maxMapEntries: 100, maxCallArguments: 16 };
/** Longest condition, characters. */
const MAX_LENGTH = 4_096;

const ENVIRONMENT: Environment = new Environment({ limits: LIMITS, homogeneousAggregateLiterals: true })
  .registerVariable({
    name: "user",
    schema: { name: "string", groups: "list<string>", kind: "string", issuer: "string" },
  })
  .registerVariable({ name: "session", schema: { reason: "string", ticket: "string", age: "int" } })
  .registerVariable({ name: "connection", schema: { name: "string", protocol: "string", api: "string" } })
  .registerVariable({
    name: "call",
    schema: {
      kind: "string",
      model: "string",
      rows: "int",
      tokensRequested: "int",
      stream: "bool",
      method: "string",
      path: "string",
      bytes: "int",
    },
  })
  .registerVariable({ name: "request", schema: { headers: "map<string, string>", json: "dyn", sql: "dyn" } })
  .registerVariable("findings", "map<string, int>")
  .registerVariable({ name: "time", schema: { hour: "int", weekday: "int", utc: "google.protobuf.Timestamp" } });

/** What is wrong with a condition, in one line; undefined when it is good. */
export function conditionProblem(source: string): string | undefined {
  if (source.length > MAX_LENGTH) return `a condition has at most ${MAX_LENGTH} characters`;
  const checked = ENVIRONMENT.check(source);
  if (!checked.valid) return `not a condition in CEL: ${firstLine(checked.error?.message ?? "it cannot be read")}`;
  return checked.type === "bool" || checked.type === "dyn"
    ? undefined
    : `a condition is true or false; this is ${checked.type}`;
}

const firstLine = (text: string): string => text.split("\n", 1)[0] ?? "";

/** @throws when conditionProblem would name one */
export function compileCondition(source: string): Condition {
  const parsed = ENVIRONMENT.parse(source);
  return {
    readsBody: /\b(rows|model|tokensRequested|stream|json|sql|findings)\b/.test(source),
    readsRows: /\brows\b/.test(source),
    evaluate(context) {
      const value: unknown = parsed(context);
      if (typeof value !== "boolean") throw new TypeError("the condition is neither true nor false");
      return value;
    },
  };
}
