import { foldName, HoopishError, isLockId, type LockId, type LockView, lockRequestSchema } from "@hoopish/protocol";
import { Hono } from "hono";
import { body } from "./body.ts";
import { type ConsoleEnv, type ConsolePorts, demand } from "./context.ts";

/** Locks: set and lifted by administrators, and seen by auditors too. */
export function lockRoutes(ports: ConsolePorts): Hono<ConsoleEnv> {
  const routes = new Hono<ConsoleEnv>();

  routes.get("/locks", (context) => {
    demand(context.get("caller"), "admin", "auditor");
    return context.json({ locks: ports.locks.list() });
  });

  routes.post("/locks", async (context) => {
    const caller = context.get("caller");
    demand(caller, "admin");
    const ask = await body(context, lockRequestSchema);
    if (ask.kind === "user" && foldName(ask.name) === foldName(caller.principal.user)) {
      throw new HoopishError("bad_request", "nobody locks himself out: ask another administrator");
    }
    // What runs is cut whether or not the record can be written: the lock stands in either case.
    const setting = ports.locks.set(ask, caller.actor);
    const ended = await ports.lockOut(ask, caller.actor);
    const lock = await setting;
    return context.json({ ...lock, ended } satisfies LockView, 201);
  });

  routes.delete("/locks/:id", async (context) => {
    const caller = context.get("caller");
    demand(caller, "admin");
    const id = context.req.param("id");
    if (!isLockId(id)) throw new HoopishError("not_found", "no such lock");
    const reason = (context.req.query("reason") ?? "").trim().slice(0, 500);
    if (reason === "") throw new HoopishError("bad_request", "lifting a lock needs a reason");
    return context.json(await ports.locks.lift(id as LockId, reason, caller.actor));
  });
  return routes;
}
