import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { DEFAULT_CONNECTIONS, World } from "../world/world.ts";
import { type OtherServers, otherConnections, startOtherServers } from "./protocols.ts";
import { farewell, say, step } from "./screen.ts";
import { DEMO_MASKING, DEMO_RULES, tour } from "./tour.ts";

const HELP = `npm run demo [-- --keep]

Starts an identity provider, model servers for HTTP and gRPC, a PostgreSQL, hoopish's server and an agent on this machine, signs in through the device
flow, calls the models through hoopish connect, shows a refused user, exports the evidence, and checks it offline.

  --keep   leave everything running afterwards, with the commands to try; Ctrl-C ends it
`;

const { values } = parseArgs({
  options: { keep: { type: "boolean", default: false }, help: { type: "boolean", short: "h" } },
});

if (values.help) {
  process.stdout.write(HELP);
} else {
  const startedMs = Date.now();
  const dir = resolve(".demo");
  rmSync(dir, { recursive: true, force: true });
  let world: World | undefined;
  let others: OtherServers | undefined;
  const end = async (code: number): Promise<void> => {
    await world?.close();
    await others?.close();
    process.exit(code);
  };
  process.once("SIGINT", () => void end(130));
  process.once("SIGTERM", () => void end(143));
  try {
    step("Everything starts on this machine");
    others = await startOtherServers();
    const { connections, targets } = otherConnections(others);
    world = await World.start({
      ...{ dir, rules: DEMO_RULES, serverExtra: DEMO_MASKING },
      ...{ connections: DEFAULT_CONNECTIONS + connections, targets },
    });
    say(`identity provider  ${world.idp.issuer}`);
    say(`model server       ${world.modelUrl}  (its credential is known to the agent alone)`);
    say(`gRPC model server  ${others.grpc.url}`);
    say(`PostgreSQL         ${others.postgres.url}`);
    say(`hoopish server     ${world.serverUrl}`);
    say("agent edge-1       enrolled with a one-time token, connected");
    await tour(world);
    farewell(world, join(dir, "evidence.tar.gz"), Date.now() - startedMs, values.keep);
    if (values.keep) await new Promise(() => undefined);
    await end(0);
  } catch (error) {
    process.stderr.write(`\nthe demo failed: ${error instanceof Error ? error.message : String(error)}\n`);
    await end(1);
  }
}
