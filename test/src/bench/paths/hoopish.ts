import { writeFileSync } from "node:fs";
import { type Program, run } from "../../world/program.ts";
import { restartAgent, restartServer } from "../../world/restart.ts";
import { World } from "../../world/world.ts";
import { childrenOf, commandLine } from "../proc.ts";
import type { Model, Path } from "./path.ts";
import { profiled } from "./profiled.ts";

/** Sockets to the model, calls in flight: the bench asks for more than a person does. */
const MANY = 512;
const LIMITS = `concurrentCalls: ${MANY}`;
const CONNECTIONS = `
  - { name: chat, agent: edge-1, protocol: http, api: openai, limits: { ${LIMITS} } }
  - { name: timed, agent: edge-1, protocol: http, api: openai, limits: { ${LIMITS} } }
  - { name: credit, agent: edge-1, protocol: http, api: oip, limits: { ${LIMITS} } }
  - { name: raw, agent: edge-1, protocol: http, api: generic, limits: { ${LIMITS}, requestBytes: 300MiB, responseBytes: 300MiB } }`;
const NAMES = ["chat", "timed", "credit", "raw"] as const;
const RULES = `
  - { name: scientists, connections: [${NAMES.join(", ")}], groups: [data-science], then: allow }`;

export interface Hoopish {
  readonly world: World;
  readonly model: Model;
  /** Signs in and connects, once the tap knows the model server. */
  connect(): Promise<Path>;
}

/**
 * hoopish whole: identity provider, server on SQLite with every byte recorded before it is delivered, agent, and a
 * person's `hoopish connect`, each a process as its user would start it (the provider lives in the bench).
 */
export async function startHoopish(
  dir: string,
  tapUrl: string,
  profileDir: string | undefined,
  where: { readonly store?: string; readonly serverExtra?: string } = {},
): Promise<Hoopish> {
  const world = await World.start({ dir, modelProcess: true, connections: CONNECTIONS, rules: RULES, ...where });
  const modelPid = childrenOf(process.pid).find((pid) => commandLine(pid).includes("model-server/main.js"));
  return {
    world,
    model: { url: world.modelUrl, credential: world.credential, pid: modelPid },
    async connect() {
      if (profileDir !== undefined) await restartServer(world, profiled(profileDir, "server"));
      writeFileSync(world.path("edge-1.yaml"), agentYaml(world, tapUrl));
      await restartAgent(world, profiled(profileDir, "agent"));
      await world.signIn("scientist");
      return hoopishPath(world, await connectAll(world, profiled(profileDir, "cli")));
    },
  };
}

function agentYaml(world: World, tapUrl: string): string {
  const connection = (name: string): string => `
  - name: ${name}
    target: ${name === "timed" ? tapUrl : world.modelUrl}
    credential: { header: Authorization, value: "Bearer \${env:MODEL_CREDENTIAL}" }
    pool: { connections: ${MANY} }
    maxCalls: ${MANY}`;
  const head = `server: ws://127.0.0.1:${world.serverPort}\nname: edge-1\nkeyFile: edge-1.key\nconnections:`;
  return `${head}${NAMES.map(connection).join("")}\n`;
}

interface Ports {
  readonly cli: Program;
  readonly origins: ReadonlyMap<string, string>;
}

/**
 * One `hoopish connect` with all connections: one process and one tunnel, so that what shares them is seen to. Quiet, as
 * `ssh -N` is: with --json the bench would have to read an event a call, on the cores that it measures.
 */
async function connectAll(world: World, nodeArgs: readonly string[]): Promise<Ports> {
  const args = ["connect", ...NAMES, "--port", "0", "--quiet"];
  const cli = world.keep(run("hoopish", args, { nodeArgs, env: world.env("scientist") }));
  const origins = await cli.until(() => {
    const said = [...cli.stdout.matchAll(/^(\S+) is at (http:\S+)/gm)];
    const ready = new Map(said.map(([, name = "", url = ""]) => [name, new URL(url).origin]));
    return ready.size === NAMES.length ? ready : undefined;
  });
  return { cli, origins };
}

function hoopishPath(world: World, { cli, origins }: Ports): Path {
  const endpoint = (name: (typeof NAMES)[number]) => ({ origin: origins.get(name) ?? "", headers: {} });
  return {
    name: "hoopish",
    chat: endpoint("chat"),
    timed: endpoint("timed"),
    infer: endpoint("credit"),
    raw: endpoint("raw"),
    processes: () => ({ cli: [cli.pid], server: [world.server.pid], agent: [world.agent.pid] }),
  };
}
