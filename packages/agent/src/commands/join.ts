import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { HoopishError } from "@hoopish/protocol";
import { loadIdentity } from "../config/load.ts";
import { join } from "../join.ts";
import { say, type World } from "./world.ts";

export interface JoinCommandOptions {
  readonly config: string;
  readonly json: boolean;
  readonly token?: string | undefined;
  readonly tokenFile?: string | undefined;
}

/** Enrols the agent with a one-time token. @throws HoopishError usage, configuration, unreachable, or the server's refusal */
export async function joinCommand(world: World, options: JoinCommandOptions): Promise<void> {
  const identity = loadIdentity(options.config, world.env);
  const token = (await readToken(world, options)).trim();
  if (token === "") throw new HoopishError("usage", "the token is empty");
  const { env, interrupted: signal } = world;
  const { agent, origin, originMatches, keyCreated } = await join({ ...identity, token, env, signal });
  say(world, options.json, `joined as ${agent.name}: ${agent.id}`, {
    agent: agent.id,
    name: agent.name,
    publicKey: agent.publicKey,
    origin,
    keyFile: identity.keyFile,
    keyCreated,
  });
  if (!originMatches) {
    world.stderr.write(
      `hoopish-agent: the server calls itself ${origin}, and this agent dials ${identity.server}\n` +
        `  try: write server: ${origin.replace(/^http/, "ws")}, or it will not accept this agent\n`,
    );
  }
}

/** From the file, from the command line (where other users of the machine can see it), or from stdin. */
async function readToken(world: World, { token, tokenFile }: JoinCommandOptions): Promise<string> {
  if (token !== undefined && tokenFile !== undefined) {
    throw new HoopishError("usage", "give --token or --token-file, not both");
  }
  if (tokenFile !== undefined) {
    try {
      return readFileSync(tokenFile, "utf8");
    } catch (error) {
      throw new HoopishError("usage", `the token file ${tokenFile} cannot be read`, { cause: error });
    }
  }
  if (token !== undefined) return token;
  if (world.stdin.isTTY === true) {
    throw new HoopishError("usage", "no token", {
      hint: "hoopish agent enroll | hoopish-agent join --config agent.yaml, or --token-file",
    });
  }
  return text(world.stdin);
}
