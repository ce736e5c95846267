import { HoopishError, isCallId, isRecordType, type RecordList, type RecordType } from "@hoopish/protocol";
import { Hono } from "hono";
import type { RecordFilter } from "../evidence/port.ts";
import { callFilter, searched } from "./audit.ts";
import { type ConsoleEnv, type ConsolePorts, demand, pageLimit } from "./context.ts";

/** Searching records of any type; for auditors, and itself a record. */
export function recordRoutes(ports: ConsolePorts): Hono<ConsoleEnv> {
  const routes = new Hono<ConsoleEnv>();
  routes.get("/audit/records", async (context) => {
    const caller = context.get("caller");
    demand(caller, "auditor");
    const query = context.req.query();
    const page = await ports.reader.search(recordFilter(query, ports.now()), pageLimit(query.limit), query.cursor);
    await searched(caller, query, page.items.length, ports);
    const list: RecordList = { records: page.items, ...(page.next === undefined ? {} : { next: page.next }) };
    return context.json(list);
  });
  return routes;
}

/** @throws HoopishError bad_request */
function recordFilter(query: Record<string, string>, nowMs: number): RecordFilter {
  const { sinceMs, untilMs, user, connection, session } = callFilter(query, nowMs);
  const { call } = query;
  if (call !== undefined && !isCallId(call)) throw new HoopishError("bad_request", "call is not a call id");
  return { types: recordTypes(query.type), user, connection, session, call, sinceMs, untilMs };
}

function recordTypes(list: string | undefined): readonly RecordType[] | undefined {
  if (list === undefined) return undefined;
  const types = [...new Set(list.split(","))];
  if (types.every(isRecordType)) return types;
  throw new HoopishError("bad_request", "type is one or more of the record types, with commas between");
}
