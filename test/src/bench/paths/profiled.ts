import { join } from "node:path";
import { run } from "../../world/program.ts";
import type { World } from "../../world/world.ts";

/** Arguments with which a program runs under V8's CPU profiler; none without a folder. */
export const profiled = (dir: string | undefined, program: string): string[] =>
  dir === undefined ? [] : ["--cpu-prof", "--cpu-prof-interval=250", `--cpu-prof-dir=${join(dir, program)}`];

export async function restartServer(world: World, nodeArgs: readonly string[]): Promise<void> {
  await world.server.stop();
  const args = ["start", "--config", world.path("server.yaml"), "--json"];
  world.server = world.keep(run("hoopish-server", args, { nodeArgs }));
  await world.server.event(({ event }) => event === "listening");
}

export async function restartAgent(world: World, nodeArgs: readonly string[]): Promise<void> {
  await world.agent.stop();
  const args = ["start", "--config", world.path("edge-1.yaml"), "--json"];
  world.agent = world.keep(run("hoopish-agent", args, { nodeArgs, env: { MODEL_CREDENTIAL: world.credential } }));
  await world.agent.event(({ event }) => event === "connected");
}
