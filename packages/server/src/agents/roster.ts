import type { AgentHello, AgentId, AgentView } from "@hoopish/protocol";
import type { Tunnel } from "@hoopish/tunnel";
import type { ConnectionConfig } from "../config/config.ts";
import type { EnrolledAgent } from "./port.ts";

/** One connected agent process. Two of one name are two links, and share the calls. */
export interface AgentLink {
  readonly agent: EnrolledAgent;
  readonly instance: string;
  readonly version: string;
  readonly connections: ReadonlySet<string>;
  readonly connectedAtMs: number;
  readonly tunnel: Tunnel;
  /** Calls under way. */
  inFlight: number;
}

/** The agents that are connected now, and which of them takes the next call. */
export class Roster {
  readonly #links = new Set<AgentLink>();
  readonly #isLocked: (name: string) => boolean;

  /** @param isLocked agents of such a name get no calls */
  constructor(isLocked: (name: string) => boolean) {
    this.#isLocked = isLocked;
  }

  join(agent: EnrolledAgent, instance: string, hello: AgentHello, tunnel: Tunnel, nowMs: number): AgentLink {
    // The same process again: its old tunnel is dead, and only not yet noticed to be. One that drains may finish its calls.
    for (const link of this.#links) {
      if (link.instance === instance && link.tunnel.state === "open") link.tunnel.close(1000, "replaced");
    }
    const connections = new Set(hello.connections.map(({ name }) => name));
    const { version } = hello;
    const link: AgentLink = { agent, instance, version, connections, connectedAtMs: nowMs, tunnel, inFlight: 0 };
    this.#links.add(link);
    return link;
  }

  leave(link: AgentLink): void {
    this.#links.delete(link);
  }

  /** The agent with the fewest calls in flight that serves the connection under the name that the config gives. */
  pick(connection: ConnectionConfig): AgentLink | undefined {
    let best: AgentLink | undefined;
    if (this.#isLocked(connection.agent)) return undefined;
    for (const link of this.#links) {
      if (link.agent.name !== connection.agent || !link.connections.has(connection.name)) continue;
      if (link.tunnel.state !== "open") continue;
      if (best === undefined || link.inFlight < best.inFlight) best = link;
    }
    return best;
  }

  online(connection: ConnectionConfig): boolean {
    return this.pick(connection) !== undefined;
  }

  /** Cuts every tunnel of a key that is revoked. */
  expel(id: AgentId): void {
    for (const link of this.#links) if (link.agent.id === id) link.tunnel.close(1008, "the agent's key is revoked");
  }

  /** Cuts every tunnel of agents of this name: their running calls break. @returns how many */
  lockOut(name: string): number {
    const locked = [...this.#links].filter((link) => link.agent.name === name);
    for (const link of locked) link.tunnel.close(1008, "the agent is locked");
    return locked.length;
  }

  view(agent: EnrolledAgent): AgentView {
    const instances = [...this.#links]
      .filter((link) => link.agent.id === agent.id)
      .map((link) => ({
        instance: link.instance,
        connectedAt: new Date(link.connectedAtMs).toISOString(),
        version: link.version,
        inFlight: link.inFlight,
        connections: [...link.connections],
      }));
    return {
      id: agent.id,
      name: agent.name,
      publicKey: agent.publicKey,
      enrolledAt: new Date(agent.enrolledAtMs).toISOString(),
      ...(agent.revokedAtMs === undefined ? {} : { revokedAt: new Date(agent.revokedAtMs).toISOString() }),
      instances,
    };
  }
}
