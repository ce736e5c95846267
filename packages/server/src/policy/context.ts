import type { PolicyQuestion, SqlFacts } from "./question.ts";

/** A call that asks for no limit asks for as much as there is. */
const NO_LIMIT = BigInt(Number.MAX_SAFE_INTEGER);

/** The question as CEL's variables. */
export function contextOf(question: PolicyQuestion, timeZone: string): object {
  const { principal, session, connection, call, request, nowMs } = question;
  const speaks = call.kind === "chat" || call.kind === "complete";
  return {
    user: { name: principal.user, groups: principal.groups, kind: principal.kind, issuer: principal.issuer },
    session: {
      reason: session.reason ?? "",
      ticket: session.ticket ?? "",
      age: BigInt(Math.max(0, Math.floor(session.ageMs / 1_000))),
    },
    connection: { name: connection.name, protocol: connection.protocol, api: connection.api },
    call: {
      kind: call.kind,
      model: call.model ?? "",
      rows: BigInt(call.rows ?? 0),
      tokensRequested: call.tokensRequested === undefined ? (speaks ? NO_LIMIT : 0n) : BigInt(call.tokensRequested),
      stream: call.stream ?? false,
      method: call.method,
      path: call.path,
      bytes: BigInt(call.bytes),
    },
    get request() {
      return { headers: headerMap(request.headers), json: celValue(request.json ?? null, 0), sql: sqlOf(request.sql) };
    },
    get findings() {
      return new Map([...(question.findings?.() ?? [])].map(([type, count]) => [type, BigInt(count)]));
    },
    get time() {
      return { ...localTime(nowMs, timeZone), utc: new Date(nowMs) };
    },
  };
}

function sqlOf(sql: SqlFacts | undefined): object | null {
  if (sql === undefined) return null;
  const { kinds, tables, functions, statements } = sql;
  return { kinds, tables: byEachName(tables), functions: byEachName(functions), statements: BigInt(statements) };
}

/** As the text names them, and without what stands before a dot: `applicants` is in a rule whoever writes `public.applicants`. */
const byEachName = (names: readonly string[]): string[] => [
  ...new Set(names.flatMap((name) => name.split(".").map((_part, i, parts) => parts.slice(i).join(".")))),
];

function headerMap(headers: readonly string[]): Map<string, string> {
  const map = new Map<string, string>();
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    const known = map.get(name);
    map.set(name, known === undefined ? (headers[i + 1] as string) : `${known}, ${headers[i + 1]}`);
  }
  return map;
}

/** JSON as CEL reads it: whole numbers are ints, so that they compare with the ints that people write. */
function celValue(json: unknown, depth: number): unknown {
  if (typeof json === "number") return Number.isSafeInteger(json) ? BigInt(json) : json;
  if (typeof json !== "object" || json === null) return json;
  if (depth > 100) throw new RangeError("the body is nested too deeply");
  if (Array.isArray(json)) return json.map((item) => celValue(item, depth + 1));
  return new Map(Object.entries(json).map(([name, value]) => [name, celValue(value, depth + 1)]));
}

const QUARTER_MS = 900_000;
const FORMATS = new Map<string, Intl.DateTimeFormat>();
let cached: { quarter: number; timeZone: string; hour: bigint; weekday: bigint } | undefined;
const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/** Hour 0 to 23, weekday 1 (Monday) to 7. Zones differ from UTC by whole quarters of an hour, so each has one answer. */
function localTime(nowMs: number, timeZone: string): { readonly hour: bigint; readonly weekday: bigint } {
  const quarter = Math.floor(nowMs / QUARTER_MS);
  if (cached?.quarter !== quarter || cached.timeZone !== timeZone) {
    let format = FORMATS.get(timeZone);
    if (format === undefined) {
      format = new Intl.DateTimeFormat("en-US", { timeZone, hour: "numeric", hourCycle: "h23", weekday: "short" });
      FORMATS.set(timeZone, format);
    }
    const parts = Object.fromEntries(format.formatToParts(nowMs).map(({ type, value }) => [type, value]));
    const weekday = WEEKDAYS.indexOf(parts.weekday ?? "") + 1;
    cached = { quarter, timeZone, hour: BigInt(parts.hour ?? "0"), weekday: BigInt(weekday) };
  }
  return { hour: cached.hour, weekday: cached.weekday };
}
