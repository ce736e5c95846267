import { enrollmentRequestSchema, enrollRequestSchema, HoopishError, isAgentId } from "@hoopish/protocol";
import { Hono } from "hono";
import { body } from "./body.ts";
import { type ConsoleEnv, type ConsolePorts, demand } from "./context.ts";

/** What an agent asks for before it has an identity: its authority is the one-time token, or its key. */
export function enrolRoutes(ports: ConsolePorts): Hono<ConsoleEnv> {
  const routes = new Hono<ConsoleEnv>();
  routes.post("/agents/challenge", (context) => context.json(ports.challenges.issue()));
  routes.post("/agents/enroll", async (context) => {
    const agent = await ports.enrolment.enroll(await body(context, enrollRequestSchema));
    return context.json({ agent: ports.roster.view(agent), origin: ports.origin }, 201);
  });
  return routes;
}

/** Administration of agents. */
export function agentRoutes(ports: ConsolePorts): Hono<ConsoleEnv> {
  const routes = new Hono<ConsoleEnv>();
  routes.get("/agents", (context) => {
    demand(context.get("caller"), "admin");
    return context.json({ agents: ports.enrolment.agents.map((agent) => ports.roster.view(agent)) });
  });
  routes.post("/agents/enrollments", async (context) => {
    const caller = context.get("caller");
    demand(caller, "admin");
    const invitation = await ports.enrolment.invite(await body(context, enrollmentRequestSchema));
    const { name, expiresAt } = invitation;
    await ports.log.append([{ type: "agent.invited", actor: caller.actor, name, expires: expiresAt }]);
    return context.json(invitation, 201);
  });
  routes.delete("/agents/:id", async (context) => {
    const caller = context.get("caller");
    demand(caller, "admin");
    const id = context.req.param("id");
    if (!isAgentId(id)) throw new HoopishError("not_found", "no such agent");
    const agent = await ports.enrolment.revoke(id, caller.actor);
    ports.roster.expel(id);
    return context.json(ports.roster.view(agent));
  });
  return routes;
}
