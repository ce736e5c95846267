import { run } from "./program.ts";
import type { World } from "./world.ts";

/** Starts the world's server anew, with arguments for Node itself. */
export async function restartServer(world: World, nodeArgs: readonly string[]): Promise<void> {
  await world.server.stop();
  const args = ["start", "--config", world.path("server.yaml"), "--json"];
  world.server = world.keep(run("hoopish-server", args, { nodeArgs }));
  await world.server.event(({ event }) => event === "listening");
}

/** The same for its agent. */
export async function restartAgent(world: World, nodeArgs: readonly string[]): Promise<void> {
  await world.agent.stop();
  const args = ["start", "--config", world.path("edge-1.yaml"), "--json"];
  world.agent = world.keep(run("hoopish-agent", args, { nodeArgs, env: { MODEL_CREDENTIAL: world.credential } }));
  await world.agent.event(({ event }) => event === "connected");
}
