import { HoopishError, isSessionId, type SessionId, type SessionView } from "@hoopish/protocol";
import { Hono } from "hono";
import type { Page } from "../evidence/port.ts";
import { type Caller, type ConsoleEnv, type ConsolePorts, pageLimit } from "./context.ts";

/** Live and past sessions; one's own, or everybody's for administrators and auditors. */
export function sessionRoutes(ports: ConsolePorts): Hono<ConsoleEnv> {
  const routes = new Hono<ConsoleEnv>();

  routes.get("/sessions", async (context) => {
    const caller = context.get("caller");
    const { state = "live", limit, cursor } = context.req.query();
    if (!["live", "past", "all"].includes(state)) throw new HoopishError("bad_request", "state is live, past or all");
    const live = state === "past" || cursor !== undefined ? [] : liveViews(caller, ports);
    const past = state === "live" ? NONE : await ports.reader.pastSessions(onlyUser(caller), pageLimit(limit), cursor);
    const ids = new Set(live.map(({ id }) => id));
    const sessions = [...live, ...past.items.filter(({ id }) => !ids.has(id) && ports.sessions.get(id) === undefined)];
    return context.json({ sessions, ...(past.next === undefined ? {} : { next: past.next }) });
  });

  routes.get("/sessions/:id", async (context) => {
    return context.json(await visibleSession(context.get("caller"), context.req.param("id"), ports));
  });

  routes.delete("/sessions/:id", async (context) => {
    const caller = context.get("caller");
    const view = await visibleSession(caller, context.req.param("id"), ports);
    const session = ports.sessions.get(view.id);
    if (session === undefined) throw new HoopishError("conflict", "the session has ended already");
    const own = isOwn(caller, session.principal);
    if (!own && !caller.roles.includes("admin")) {
      throw new HoopishError("access_denied", "only its owner or an administrator ends a session");
    }
    const reason = (context.req.query("reason") ?? (own ? "killed by its owner" : "killed by an administrator")).slice(
      0,
      500,
    );
    await ports.sessions.end(session, {
      reason: reason.toWellFormed(),
      code: "session_closed",
      by: caller.principal.user,
    });
    return context.json({ ...view, state: "closed", closeReason: reason } satisfies SessionView);
  });
  return routes;
}

const NONE: Page<SessionView> = { items: [], next: undefined };

const seesAll = (caller: Caller): boolean => caller.roles.length > 0;
const onlyUser = (caller: Caller): string | undefined => (seesAll(caller) ? undefined : caller.principal.user);
const isOwn = (caller: Caller, owner: Caller["principal"]): boolean =>
  caller.principal.sub === owner.sub && caller.principal.issuer === owner.issuer;

function liveViews(caller: Caller, ports: ConsolePorts): SessionView[] {
  return ports.sessions
    .list()
    .filter((session) => seesAll(caller) || isOwn(caller, session.principal))
    .map((session) => session.view());
}

/** @throws HoopishError not_found, also for somebody else's session: ids are not given away */
export async function visibleSession(caller: Caller, id: string, ports: ConsolePorts): Promise<SessionView> {
  const missing = new HoopishError("not_found", "no such session");
  if (!isSessionId(id)) throw missing;
  const session = ports.sessions.get(id as SessionId);
  const view = session?.view() ?? (await ports.reader.session(id));
  if (view === undefined || (!seesAll(caller) && view.user !== caller.principal.user)) throw missing;
  return view;
}
