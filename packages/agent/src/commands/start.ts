import { startAgent } from "../agent.ts";
import { loadConfig } from "../config/load.ts";
import { createLog } from "../log.ts";
import { say, type World } from "./world.ts";

export interface StartOptions {
  readonly config: string;
  readonly json: boolean;
  readonly exitOnRefusal: boolean;
}

/** Runs until it is interrupted. @throws HoopishError configuration; the server's refusal with `exitOnRefusal` */
export async function start(world: World, options: StartOptions): Promise<void> {
  const config = loadConfig(options.config, world.env);
  const log = createLog(config.logLevel, world.stderr);
  const connections = config.connections.map(({ name }) => name);
  const agent = startAgent(config, {
    log,
    env: world.env,
    stopOnRefusal: options.exitOnRefusal,
    onState: ({ kind, ...rest }) => {
      if (kind !== "stopped" && options.json) say(world, true, "", { event: kind, ...rest });
    },
  });
  say(world, options.json, `serving ${connections.join(", ")} as ${config.name} through ${config.server}`, {
    event: "started",
    name: config.name,
    server: config.server,
    connections,
  });
  const interrupted = new Promise<undefined>((resolve) => {
    if (world.interrupted.aborted) resolve(undefined);
    world.interrupted.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  const refusal = await Promise.race([agent.stopped, interrupted]);
  if (refusal === undefined) log.info({ inFlight: agent.inFlight, drainMs: config.drainMs }, "stopping");
  await agent.close();
  if (refusal !== undefined) throw refusal;
  say(world, options.json, "stopped", { event: "stopped" });
}
