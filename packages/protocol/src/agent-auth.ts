/**
 * How an agent proves on connect that it is the one that was enrolled. The server gives a nonce for one use; the agent
 * signs it together with the origin that it dialled (so that a false server cannot pass the challenge on to the real
 * one), its name and its instance, with the Ed25519 key (RFC 8032) of which the server knows only the public half.
 */

export interface AgentClaim {
  /** Origin of the server as the agent dialled it, e.g. `https://gateway.bank.example`. */
  readonly origin: string;
  readonly nonce: string;
  readonly name: string;
  /** Random per process start: two agents of one name are two instances. */
  readonly instance: string;
}

/** The `authorization` scheme of the agent's WebSocket upgrade: `HoopishAgent <base64url JSON of AgentProof>`. */
export const AGENT_AUTH_SCHEME = "HoopishAgent";

/** The bytes that are signed. Each member is on a line of its own and may hold no line feed. @throws TypeError */
export function agentClaimBytes(claim: AgentClaim): Buffer {
  const members = [claim.origin, claim.nonce, claim.name, claim.instance];
  if (members.some((member) => /[\n\r]/.test(member))) throw new TypeError("a line feed in an agent's claim");
  return Buffer.from(["hoopish-agent-connect/1", ...members, ""].join("\n"));
}

/** `wss://host:port/path` or `https://…` → the origin that both sides sign. @throws TypeError when it is no URL */
export function serverOrigin(url: string): string {
  const parsed = new URL(url);
  const secure = parsed.protocol === "wss:" || parsed.protocol === "https:";
  return `${secure ? "https" : "http"}://${parsed.host}`;
}
