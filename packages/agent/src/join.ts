import { agentNameSchema, type EnrollReply, HoopishError, serverOrigin } from "@hoopish/protocol";
import { loadOrCreateAgentKey } from "./agent-key.ts";
import { type ControlOptions, enroll } from "./control.ts";

export interface JoinOptions extends ControlOptions {
  readonly name: string;
  readonly keyFile: string;
  /** The one-time token of `hoopish agent enroll`. */
  readonly token: string;
}

export interface JoinResult {
  readonly agent: EnrollReply["agent"];
  /** The server's own origin. An agent signs the one that it dials, so a different one will be refused. */
  readonly origin: string;
  readonly originMatches: boolean;
  readonly keyCreated: boolean;
}

/**
 * Enrols this agent: makes its key where there is none, and hands the public half to the server with the token. After a
 * failure it can be run again with a new token; the key stays.
 * @throws HoopishError configuration (key), unreachable, or the server's refusal
 */
export async function join(options: JoinOptions): Promise<JoinResult> {
  const name = agentNameSchema.safeParse(options.name);
  if (!name.success) throw new HoopishError("configuration", `"${options.name}" is no agent name`);
  const { key, created } = loadOrCreateAgentKey(options.keyFile);
  const reply = await enroll(options, { token: options.token, name: name.data, publicKey: key.publicKey });
  return {
    agent: reply.agent,
    origin: reply.origin,
    originMatches: reply.origin === serverOrigin(options.server),
    keyCreated: created,
  };
}
