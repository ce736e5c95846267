import { type PostgresFixture, startPostgres } from "@hoopish/fixtures";
import { run } from "../../world/program.ts";
import { restartAgent, restartServer } from "../../world/restart.ts";
import { World } from "../../world/world.ts";
import type { Lifetime } from "../lifetime.ts";
import { profiled } from "./profiled.ts";

/** Ports of a gRPC model server and of a PostgreSQL: straight, and through hoopish. */
export interface OtherProtocols {
  readonly world: World;
  readonly grpc: { readonly direct: number; readonly hoopish: number };
  readonly postgres: PostgresFixture & { readonly hoopish: number };
}

const DETECT = "[US_SSN, CREDIT_CARD, EMAIL, PHONE, IBAN, US_BANK_ACCOUNT, PERSON]";

export async function startOtherProtocols(
  dir: string,
  lifetime: Lifetime,
  profileDir?: string,
): Promise<OtherProtocols> {
  const model = run("grpc-model-server", ["--port", "0", "--json"]);
  lifetime.defer("gRPC model server", () => model.stop());
  const { port: direct, url } = await model.event<{ port: number; url: string }>((event) => event.url !== undefined);
  const postgres = await startPostgres();
  lifetime.defer("PostgreSQL", () => postgres.close());
  const limits = "concurrentCalls: 512, responseBytes: 1GiB";
  const world = await World.start({
    dir,
    connections: `
  - { name: scores, agent: edge-1, protocol: grpc, api: oip, limits: { ${limits} } }
  - { name: features, agent: edge-1, protocol: postgres, api: generic, modelFunctions: [predict_default], limits: { ${limits}, responseRows: 4000000 } }`,
    rules: `
  - { name: scientists, connections: ["*"], groups: [data-science], then: allow }`,
    serverExtra: `masking:
  - { name: answers, connections: [features], direction: response, detect: ${DETECT}, action: redact }
`,
    targets: `
  - { name: scores, target: "${url}" }
  - name: features
    target: ${postgres.url}
    credential: { postgres: ${postgres.user}, value: ${JSON.stringify(postgres.password)} }`,
  });
  lifetime.defer("hoopish of other protocols", () => world.close());
  if (profileDir !== undefined) {
    await restartServer(world, profiled(profileDir, "server"));
    await restartAgent(world, profiled(profileDir, "agent"));
  }
  await world.signIn("scientist");
  const ports = await connectBoth(world, profiled(profileDir, "cli"));
  return { world, grpc: { direct, hoopish: ports("scores") }, postgres: { ...postgres, hoopish: ports("features") } };
}

/** Quiet, as in the other figures: with --json the bench would have to read an event a call, on the cores that it measures. */
async function connectBoth(world: World, nodeArgs: readonly string[]): Promise<(name: string) => number> {
  const args = ["connect", "scores", "features", "--port", "0", "--quiet"];
  const cli = world.keep(run("hoopish", args, { nodeArgs, env: world.env("scientist") }));
  const ports = await cli.until(() => {
    const said = [...cli.stdout.matchAll(/^(\S+) is at \S*?:(\d+)/gm)];
    const ready = new Map(said.map(([, name = "", port]) => [name, Number(port)]));
    return ready.size === 2 ? ready : undefined;
  });
  return (name) => ports.get(name) ?? 0;
}
