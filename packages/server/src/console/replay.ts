import { type CallStory, HoopishError, type Reissued, reissueReportSchema } from "@hoopish/protocol";
import { Hono } from "hono";
import { replayLines, sameRequest, sessionCalls } from "../evidence/replay.ts";
import { streamed } from "./audit.ts";
import { type ConsoleEnv, type ConsolePorts, demand } from "./context.ts";
import { visibleSession } from "./sessions.ts";
import { visibleCall } from "./visible-calls.ts";

/** Playing what was recorded, and sending it again; either is a record before anything of it is told. */
export function replayRoutes(ports: ConsolePorts): Hono<ConsoleEnv> {
  const routes = new Hono<ConsoleEnv>();

  routes.get("/audit/sessions/:id/replay", async (context) => {
    const caller = context.get("caller");
    demand(caller, "auditor", "admin");
    const session = await visibleSession(caller, context.req.param("id"), ports);
    const calls = await sessionCalls(ports.reader, session.id);
    await ports.log.append([{ type: "audit.replayed", actor: caller.actor, of: session.id }]);
    return streamed(replayLines(session, calls, ports.reader), "application/x-ndjson");
  });

  // The request itself went through a session of the caller's, where policy decided as for any call. Here the log learns
  // that it was one sent again, if that is true.
  routes.post("/audit/calls/:id/reissues", async (context) => {
    const caller = context.get("caller");
    const report = reissueReportSchema.safeParse(await context.req.json().catch(() => undefined));
    if (!report.success) throw new HoopishError("bad_request", "the body is {again: the id of the new call}");
    const of = await visibleCall(caller, context.req.param("id"), ports);
    const again = await visibleCall(caller, report.data.again, ports);
    if (again.call.user !== caller.principal.user || indexOf(again) <= indexOf(of)) {
      throw new HoopishError("bad_request", `${again.call.id} is not a newer call of yours`);
    }
    if (!(await sameRequest(of, again, ports.reader))) {
      throw new HoopishError("conflict", `${again.call.id} did not ask the same as ${of.call.id}`);
    }
    const ids = { of: of.call.id, again: again.call.id };
    await ports.log.append([{ type: "audit.replayed", actor: caller.actor, ...ids }]);
    return context.json({ ...ids, verdict: again.call.verdict } satisfies Reissued);
  });
  return routes;
}

/** Where a call's story begins in the log. */
const indexOf = ({ records }: CallStory): number => records[0]?.index ?? -1;
