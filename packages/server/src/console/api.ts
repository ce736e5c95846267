import { HoopishError, toHoopishError, type Whoami } from "@hoopish/protocol";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { bearerToken, clientName } from "../entry/bearer.ts";
import type { Principal } from "../identity/principal.ts";
import { refuseLocked } from "../locks/refuse-locked.ts";
import { agentRoutes, enrolRoutes } from "./agents.ts";
import { approvalRoutes } from "./approvals.ts";
import { auditRoutes } from "./audit.ts";
import { type ConsoleEnv, type ConsolePorts, callerOf } from "./context.ts";
import { explainRoutes } from "./explain.ts";
import { lockRoutes } from "./locks.ts";
import { logRoutes } from "./log.ts";
import { recordRoutes } from "./records.ts";
import { replayRoutes } from "./replay.ts";
import { reportRoutes } from "./report.ts";
import { retentionRoutes } from "./retention.ts";
import { sessionRoutes } from "./sessions.ts";
import { slackRoutes } from "./slack.ts";

const MAX_BODY_BYTES = 65_536;

/** The control API (packages/protocol/src/control-api.ts lists it). */
export function createConsole(ports: ConsolePorts): Hono<ConsoleEnv> {
  const app = new Hono<ConsoleEnv>();
  app.use(async (context, next) => {
    await next();
    context.header("cache-control", "no-store");
    context.header("x-content-type-options", "nosniff");
  });
  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: () => {
        throw new HoopishError("request_too_large", "the request's body is too large");
      },
    }),
  );
  app.get("/healthz", (context) => context.json({ ok: true }));
  app.get("/readyz", async (context) => {
    const state = await readiness(ports);
    return context.json(state, state.ok ? 200 : 503);
  });
  app.get("/.well-known/hoopish", (context) => context.json(ports.discovery));
  app.route("/api/v1", enrolRoutes(ports));
  // Signed by the chat, not with a token.
  app.route("/", slackRoutes(ports));

  // From here on nobody passes without a token.
  app.use("/api/v1/*", async (context, next) => {
    let principal: Principal | undefined;
    try {
      principal = await ports.identity.verify(bearerToken(context.req.header("authorization")));
      refuseLocked(principal.user, ports.locks);
      ports.seen.add(principal);
    } catch (refused) {
      const actor = principal === undefined ? undefined : ports.actorOf(principal);
      await ports.refusals.record(refused, clientName(context.req.header("user-agent")), actor);
      throw refused;
    }
    context.set("caller", callerOf(principal, ports));
    await next();
  });
  app.get("/api/v1/whoami", (context) => {
    const { principal, roles } = context.get("caller");
    const { user, name, sub, issuer, kind, groups, expiresAtMs } = principal;
    const whoami: Whoami = {
      user,
      name,
      sub,
      issuer,
      kind,
      groups,
      roles,
      expiresAt: new Date(expiresAtMs).toISOString(),
    };
    return context.json(whoami);
  });
  app.get("/api/v1/connections", (context) =>
    context.json({ connections: connectionsFor(context.get("caller").principal, ports) }),
  );
  app.route("/api/v1", sessionRoutes(ports));
  app.route("/api/v1", approvalRoutes(ports));
  app.route("/api/v1", lockRoutes(ports));
  app.route("/api/v1", auditRoutes(ports));
  app.route("/api/v1", explainRoutes(ports));
  app.route("/api/v1", recordRoutes(ports));
  app.route("/api/v1", logRoutes(ports));
  app.route("/api/v1", replayRoutes(ports));
  app.route("/api/v1", retentionRoutes(ports));
  app.route("/api/v1", reportRoutes(ports));
  app.route("/api/v1", agentRoutes(ports));

  app.notFound((context) => context.json(new HoopishError("not_found", "there is nothing at this path").toBody(), 404));
  app.onError((thrown, context) => {
    const error = toHoopishError(thrown);
    if (error.code === "internal") ports.report(thrown);
    return context.json(error.toBody(), error.shape.http as 500);
  });
  return app;
}

/** What a principal may use. What no rule gives is not listed: a name is information. */
function connectionsFor(principal: ConsoleEnv["Variables"]["caller"]["principal"], ports: ConsolePorts): object[] {
  const policy = ports.policy();
  return ports.connections
    .filter(({ name }) => policy.admits(principal, name).admitted)
    .map((connection) => ({
      name: connection.name,
      protocol: connection.protocol,
      api: connection.api,
      online: ports.roster.online(connection),
      requireReason: connection.requireReason,
      rules: policy.grants(principal, connection.name).map(({ name, verdict }) => ({ name, verdict })),
    }));
}

async function readiness(ports: ConsolePorts): Promise<{ readonly ok: boolean; readonly checks: object }> {
  const identity = await ports.identity.ready();
  const evidence = { ok: ports.log.writable, detail: ports.log.writable ? "writable" : "the store cannot be written" };
  const running = { ok: !ports.draining(), detail: ports.draining() ? "draining" : "running" };
  return { ok: identity.ok && evidence.ok && running.ok, checks: { identity, evidence, running } };
}
