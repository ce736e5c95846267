import { Readable } from "node:stream";
import {
  HoopishError,
  isKept,
  isSessionId,
  PAYLOAD_FIELDS,
  type PayloadField,
  parseTimeMs,
  type SessionId,
} from "@hoopish/protocol";
import { Hono } from "hono";
import { type BundlePorts, type BundleRequest, beginExport, resumeExport } from "../evidence/bundle/export.ts";
import { writeBundle } from "../evidence/bundle/write-bundle.ts";
import { exportCsv, exportJsonl, exportOcsf } from "../evidence/export.ts";
import type { CallFilter } from "../evidence/port.ts";
import { type Caller, type ConsoleEnv, type ConsolePorts, demand, pageLimit } from "./context.ts";
import { seesAll, visibleCall } from "./visible-calls.ts";

/** Reading the log. Auditors read everything, everybody their own calls; each reading is itself a record. */
export function auditRoutes(ports: ConsolePorts): Hono<ConsoleEnv> {
  const routes = new Hono<ConsoleEnv>();

  routes.get("/audit/calls", async (context) => {
    const caller = context.get("caller");
    const query = context.req.query();
    const filter = { ...callFilter(query, ports.now()), ...ownOnly(caller) };
    const page = await ports.reader.calls(filter, pageLimit(query.limit), query.cursor);
    await searched(caller, query, page.items.length, ports);
    return context.json({ calls: page.items, ...(page.next === undefined ? {} : { next: page.next }) });
  });

  routes.get("/audit/calls/:id", async (context) => {
    const story = await visibleCall(context.get("caller"), context.req.param("id"), ports);
    await searched(context.get("caller"), { call: story.call.id }, 1, ports);
    return context.json(story);
  });

  routes.get("/audit/calls/:id/payloads/:field", async (context) => {
    const field = context.req.param("field") as PayloadField;
    if (!PAYLOAD_FIELDS.includes(field)) throw new HoopishError("not_found", "no such payload");
    const story = await visibleCall(context.get("caller"), context.req.param("id"), ports);
    const payload = story.payloads.find((one) => one.field === field);
    if (payload?.state === "purged") throw purged(payload.purges ?? []);
    if (payload === undefined || !isKept(payload.state)) throw new HoopishError("not_found", "no such payload");
    await searched(context.get("caller"), { call: story.call.id, payload: field }, 1, ports);
    return streamed(ports.reader.payload(story.call.id, field), "application/octet-stream");
  });

  routes.get("/audit/export", async (context) => {
    const caller = context.get("caller");
    demand(caller, "auditor");
    const query = context.req.query();
    const format = query.format ?? "bundle";
    if (format === "bundle") return await bundle(caller, query, ports);
    if (format !== "jsonl" && format !== "csv" && format !== "ocsf") {
      throw new HoopishError("bad_request", "format is bundle, jsonl, csv or ocsf");
    }
    if (query.since === undefined) throw new HoopishError("bad_request", "since is missing", { hint: "since=24h" });
    const { sinceMs = 0, untilMs = ports.now() } = callFilter(query, ports.now());
    const payloads = query.payloads === "true" && format === "jsonl";
    const range = { since: new Date(sinceMs).toISOString(), until: new Date(untilMs).toISOString() };
    await ports.log.append([{ type: "audit.exported", actor: caller.actor, ...range, format, payloads }]);
    if (format === "jsonl") {
      return streamed(exportJsonl(ports.reader.export({ sinceMs, untilMs }, payloads)), "application/x-ndjson");
    }
    if (format === "ocsf") {
      const source = { version: ports.discovery.version, origin: ports.evidenceOrigin };
      return streamed(exportOcsf(ports.reader.export({ sinceMs, untilMs }, false), source), "application/x-ndjson");
    }
    const filter = { ...callFilter(query, ports.now()), sinceMs, untilMs };
    return streamed(exportCsv(ports.reader, filter), "text/csv; charset=utf-8");
  });
  return routes;
}

/** A new bundle, or, with `resume` and `offset`, the rest of one that was begun. Its index stands in the answer. */
async function bundle(caller: Caller, query: Record<string, string>, ports: ConsolePorts): Promise<Response> {
  const of: BundlePorts = { ...ports, version: ports.discovery.version };
  const offset = whole(query.offset ?? "0", "offset");
  const made =
    query.resume === undefined
      ? await beginExport(bundleRequest(caller, query, ports.now()), of)
      : await resumeExport(whole(query.resume, "resume"), caller.actor, of);
  async function* bytes(): AsyncGenerator<Buffer> {
    try {
      yield* writeBundle(made.source, { fromOffset: offset });
    } finally {
      await made.close();
    }
  }
  const response = streamed(bytes(), "application/gzip");
  response.headers.set("hoopish-export", String(made.index));
  return response;
}

function bundleRequest(caller: Caller, query: Record<string, string>, nowMs: number): BundleRequest {
  if (query.since === undefined) throw new HoopishError("bad_request", "since is missing", { hint: "since=24h" });
  const { sinceMs = 0, untilMs = nowMs, user, connection, session } = callFilter(query, nowMs);
  const filters = {
    ...(user === undefined ? {} : { user }),
    ...(connection === undefined ? {} : { connection }),
    ...(session === undefined ? {} : { session }),
  };
  return { actor: caller.actor, sinceMs, untilMs, payloads: query.payloads !== "false", filters };
}

/** @throws HoopishError bad_request */
function whole(text: string, name: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new HoopishError("bad_request", `${name} is a whole number`);
  return Number(text);
}

/** A body that ends with an error is cut by the server, so that part of an export never looks like all of it. */
export function streamed(chunks: AsyncIterable<Uint8Array>, type: string): Response {
  const stream = Readable.toWeb(Readable.from(chunks, { objectMode: false, highWaterMark: 262_144 }));
  return new Response(stream as ReadableStream, { headers: { "content-type": type } });
}

const purged = (records: readonly number[]): HoopishError =>
  new HoopishError("purged", `this payload was destroyed when its time was over: record ${records.join(" or ")}`);

const ownOnly = (caller: Caller): { user?: string } => (seesAll(caller) ? {} : { user: caller.principal.user });

export function callFilter(query: Record<string, string>, nowMs: number): CallFilter {
  const { since, until, user, connection, session, verdict } = query;
  if (session !== undefined && !isSessionId(session))
    throw new HoopishError("bad_request", "session is not a session id");
  if (verdict !== undefined && verdict !== "allow" && verdict !== "hold" && verdict !== "block") {
    throw new HoopishError("bad_request", "verdict is allow, hold or block");
  }
  return {
    sinceMs: since === undefined ? undefined : parseTimeMs(since, nowMs),
    untilMs: until === undefined ? undefined : parseTimeMs(until, nowMs),
    user,
    connection,
    session: session as SessionId | undefined,
    verdict,
  };
}

/** Who read the log, and for what. */
export async function searched(
  caller: Caller,
  query: Record<string, string>,
  results: number,
  ports: ConsolePorts,
): Promise<void> {
  const asked = Object.fromEntries(
    Object.entries(query)
      .slice(0, 20)
      .map(([name, value]) => [name.slice(0, 64).toWellFormed(), value.slice(0, 256).toWellFormed()]),
  );
  await ports.log.append([{ type: "audit.searched", actor: caller.actor, query: asked, results }]);
}
