import { setTimeout as sleep } from "node:timers/promises";
import {
  type HoldFilters,
  HoopishError,
  holdRequestSchema,
  isHoldId,
  MAX_COUNTED_CALLS,
  type PlacedHold,
  type PurgeReport,
  type RetentionPlan,
  toHoopishError,
  type WorkLine,
} from "@hoopish/protocol";
import { Hono } from "hono";
import type { Who } from "../evidence/retention/port.ts";
import { searched, streamed } from "./audit.ts";
import { type Caller, type ConsoleEnv, type ConsolePorts, demand } from "./context.ts";

/** An answer that takes its time shows that it lives this often: a proxy cuts what is silent for a minute. */
const WORKING_MS = 10_000;
/** Of the reason of a release, as of a hold's. */
const REASON = /^[^\p{Cc}\p{Cs}]{1,1024}$/u;

/** How long payloads are kept. Holds are the auditors', a purge by hand the administrators'. */
export function retentionRoutes(ports: ConsolePorts): Hono<ConsoleEnv> {
  const routes = new Hono<ConsoleEnv>();
  const { retention } = ports;

  routes.get("/retention", async (context) => {
    const caller = context.get("caller");
    demand(caller, "auditor", "admin");
    const work = async (): Promise<RetentionPlan> => {
      const plan = await retention.plan();
      await searched(caller, { retention: "plan" }, plan.months.length, ports);
      return plan;
    };
    return streamed(workLines(work(), ports), "application/x-ndjson");
  });

  routes.post("/retention/purges", (context) => {
    const caller = context.get("caller");
    demand(caller, "admin");
    // It does not end because whoever asked for it goes away: only because the server does.
    const work = retention.purge(whoIs(caller), ports.ending).then((purged): PurgeReport => ({ purged }));
    return streamed(workLines(work, ports), "application/x-ndjson");
  });

  routes.get("/retention/holds", async (context) => {
    const caller = context.get("caller");
    demand(caller, "auditor", "admin");
    const state = context.req.query("state") ?? "active";
    if (state !== "active" && state !== "all") throw new HoopishError("bad_request", "state is active or all");
    const holds = await retention.holds.holds(state);
    await searched(caller, { retention: "holds", state }, holds.length, ports);
    return context.json({ holds });
  });

  routes.post("/retention/holds", async (context) => {
    const caller = context.get("caller");
    demand(caller, "auditor");
    const request = holdRequestSchema.safeParse(await context.req.json().catch(() => undefined));
    if (!request.success) {
      const wrong = request.error.issues.map((issue) => issue.path.join(".") || "the body").join(", ");
      throw new HoopishError("bad_request", `not valid: ${wrong}`, {
        hint: "a reason, and one filter at least: user, connection, session, call, since, until",
      });
    }
    const hold = await retention.holds.place(request.data, whoIs(caller));
    const calls = await countCalls(request.data.filters, ports);
    return context.json({ hold, calls } satisfies PlacedHold, 201);
  });

  routes.delete("/retention/holds/:id", async (context) => {
    const caller = context.get("caller");
    demand(caller, "auditor");
    const id = context.req.param("id");
    const reason = context.req.query("reason") ?? "";
    if (!isHoldId(id)) throw new HoopishError("not_found", "no such hold");
    if (!REASON.test(reason)) throw new HoopishError("bad_request", "reason is missing, or no text of one line");
    return context.json(await retention.holds.release(id, reason, whoIs(caller)));
  });
  return routes;
}

const whoIs = ({ principal, actor }: Caller): Who => ({ by: principal.user, actor });

async function* workLines<T>(work: Promise<T>, ports: ConsolePorts): AsyncGenerator<Buffer> {
  let last: WorkLine<T> | undefined;
  // Heard at once: a failure while nobody waits must end no process, and the server's own log has it in any case.
  const ended = work.then(
    (done) => {
      last = { done };
    },
    (thrown: unknown) => {
      ports.report(thrown);
      last = toHoopishError(thrown).toBody();
    },
  );
  const line = (told: WorkLine<T>): Buffer => Buffer.from(`${JSON.stringify(told)}\n`);
  while (last === undefined) {
    yield line({ working: true });
    await Promise.race([ended, sleep(WORKING_MS, undefined, { ref: false })]);
  }
  yield line(last);
}

/** How many recorded calls a hold fits: whoever mistypes a name must see it. */
async function countCalls({ call, since, until, ...filters }: HoldFilters, ports: ConsolePorts): Promise<number> {
  const sinceMs = since === undefined ? undefined : Date.parse(since);
  const untilMs = until === undefined ? undefined : Date.parse(until);
  const { user, connection, session } = filters;
  if (call !== undefined) {
    const found = (await ports.reader.call(call))?.call;
    if (found === undefined) return 0;
    const timeMs = Date.parse(found.time);
    const fits =
      (user ?? found.user) === found.user &&
      (connection ?? found.connection) === found.connection &&
      (session ?? found.session) === found.session &&
      timeMs >= (sinceMs ?? timeMs) &&
      timeMs < (untilMs ?? timeMs + 1);
    return fits ? 1 : 0;
  }
  const filter = { sinceMs, untilMs, user, connection, session, verdict: undefined };
  return (await ports.reader.calls(filter, MAX_COUNTED_CALLS, undefined)).items.length;
}
