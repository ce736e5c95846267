import type { IncomingMessage } from "node:http";
import { agentHelloSchema, HoopishError, toHoopishError } from "@hoopish/protocol";
import type { Tunnel, TunnelStream, UpgradeDecision } from "@hoopish/tunnel";
import type { Challenges } from "../agents/challenges.ts";
import { agentActor, type Enrolment } from "../agents/enrolment.ts";
import type { EnrolledAgent } from "../agents/port.ts";
import type { AgentLink, Roster } from "../agents/roster.ts";
import type { EvidenceLog } from "../evidence/port.ts";
import type { Locks } from "../locks/port.ts";
import { rejection } from "./bearer.ts";

const REFUSED_STREAM = 0x7;
/** An agent that proves itself and then says nothing is cut. */
const HELLO_TIMEOUT_MS = 10_000;

export interface AgentTunnelPorts {
  readonly challenges: Challenges;
  readonly enrolment: Enrolment;
  readonly roster: Roster;
  readonly locks: Locks;
  readonly log: EvidenceLog;
  readonly origin: string;
  readonly now: () => number;
  readonly draining: () => boolean;
  readonly report: (error: unknown) => void;
}

/** An agent's tunnel: it proves with its key that it is the one that was enrolled, then says what it serves. */
export async function authorizeAgent(request: IncomingMessage, ports: AgentTunnelPorts): Promise<UpgradeDecision> {
  try {
    if (ports.draining()) throw new HoopishError("server_draining", "the server is about to stop; try again");
    const { challenges, enrolment, origin } = ports;
    const { agent, instance } = challenges.verify(request.headers.authorization, origin, enrolment.agents);
    // A lock is lifted one day: the agent may go on trying.
    if (ports.locks.find("agent", agent.name) !== undefined) {
      throw new HoopishError("agent_unavailable", `the agent ${agent.name} is locked`);
    }
    const link = new AgentTunnel(agent, instance, ports);
    return {
      accept: { onStream: (stream) => link.onStream(stream), onClose: ({ reason }) => link.onClose(reason) },
      onTunnel: (tunnel) => link.onTunnel(tunnel),
    };
  } catch (thrown) {
    const error = toHoopishError(thrown);
    if (error.code === "internal") ports.report(thrown);
    else await ports.log.append([{ type: "agent.refused", name: "-", reason: error.message }]).catch(() => undefined);
    return rejection(error);
  }
}

class AgentTunnel {
  readonly #agent: EnrolledAgent;
  readonly #instance: string;
  readonly #ports: AgentTunnelPorts;
  #tunnel: Tunnel | undefined;
  #link: AgentLink | undefined;
  #helloTimer: NodeJS.Timeout | undefined;

  constructor(agent: EnrolledAgent, instance: string, ports: AgentTunnelPorts) {
    this.#agent = agent;
    this.#instance = instance;
    this.#ports = ports;
  }

  onTunnel(tunnel: Tunnel): void {
    this.#tunnel = tunnel;
    this.#helloTimer = setTimeout(() => tunnel.close(1008, "no hello"), HELLO_TIMEOUT_MS).unref();
  }

  onStream(stream: TunnelStream): void {
    stream.handler = {
      onData: (chunk) => stream.consumed(chunk.length),
      onEnd: () => undefined,
      onReset: () => undefined,
    };
    const hello = agentHelloSchema.safeParse(stream.headers);
    if (!hello.success || this.#link !== undefined || this.#tunnel === undefined) {
      stream.reset(REFUSED_STREAM, "an agent opens one stream, its hello");
      return;
    }
    clearTimeout(this.#helloTimer);
    const { roster, log, origin, now, report } = this.#ports;
    const link = roster.join(this.#agent, this.#instance, hello.data, this.#tunnel, now());
    this.#link = link;
    stream.sendHeaders({}, { endStream: true });
    const { id, name } = this.#agent;
    const connections = [...link.connections];
    log
      .append([
        {
          type: "agent.connected",
          actor: agentActor(this.#agent, origin),
          agent: id,
          name,
          instance: link.instance,
          connections,
        },
      ])
      .catch(report);
  }

  onClose(reason: string): void {
    clearTimeout(this.#helloTimer);
    if (this.#link === undefined) return;
    const { roster, log, origin, report } = this.#ports;
    roster.leave(this.#link);
    const { id, name } = this.#agent;
    const instance = this.#instance;
    const said = reason === "" ? "the tunnel closed" : reason.slice(0, 200).toWellFormed();
    log
      .append([
        { type: "agent.disconnected", actor: agentActor(this.#agent, origin), agent: id, name, instance, reason: said },
      ])
      .catch(report);
  }
}
