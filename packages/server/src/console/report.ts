import { ACCESS_COLUMNS, type AccessReport, HoopishError } from "@hoopish/protocol";
import { Hono } from "hono";
import { csvLine } from "../evidence/csv.ts";
import { AccessTally } from "../evidence/reports/access.ts";
import { callFilter } from "./audit.ts";
import { type ConsoleEnv, type ConsolePorts, demand } from "./context.ts";

/** Reports over the log, for auditors and administrators; each is a record before anything of it is told. */
export function reportRoutes(ports: ConsolePorts): Hono<ConsoleEnv> {
  const routes = new Hono<ConsoleEnv>();
  routes.get("/audit/report/access", async (context) => {
    const caller = context.get("caller");
    demand(caller, "auditor", "admin");
    const query = context.req.query();
    const format = query.format ?? "json";
    if (format !== "json" && format !== "csv") throw new HoopishError("bad_request", "format is json or csv");
    if (query.since === undefined) throw new HoopishError("bad_request", "since is missing", { hint: "since=90d" });
    const { sinceMs = 0, untilMs = ports.now() } = callFilter(query, ports.now());
    const range = { since: new Date(sinceMs).toISOString(), until: new Date(untilMs).toISOString() };
    const name = `report.access.${format}`;
    await ports.log.append([{ type: "audit.exported", actor: caller.actor, ...range, format: name, payloads: false }]);
    const tally = new AccessTally();
    for await (const batch of ports.reader.export({ sinceMs, untilMs }, false))
      for (const item of batch) tally.add(item);
    const rows = tally.rows(ports.policy().rules.filter(({ verdict }) => verdict === "allow"));
    if (format === "json") return context.json({ ...range, rows } satisfies AccessReport);
    const lines = rows.map((row) => csvLine(ACCESS_COLUMNS.map((column) => row[column])));
    return context.text(csvLine(ACCESS_COLUMNS) + lines.join(""), 200, { "content-type": "text/csv; charset=utf-8" });
  });
  return routes;
}
