import { HoopishError, type PostgresCancel, type PostgresOpen, postgresAnswerSchema } from "@hoopish/protocol";
import { type StreamHandler, type StreamResetError, TunnelOpenError, type TunnelStream } from "@hoopish/tunnel";
import type { ConnectionConfig } from "../config/config.ts";
import type { DatabaseLink, LinkListener } from "../relay/ports.ts";
import type { AgentLink, Roster } from "./roster.ts";

/** CANCEL and PROTOCOL_ERROR of RFC 9113 §7. */
const CANCEL = 0x8;
const PROTOCOL_ERROR = 0x1;

/** @throws HoopishError agent_unavailable */
export function connectDatabase(
  roster: Roster,
  connection: ConnectionConfig,
  open: PostgresOpen,
  listener: LinkListener,
): DatabaseLink {
  const agent = roster.pick(connection);
  if (agent === undefined) {
    throw new HoopishError("agent_unavailable", `no agent for ${connection.name} is connected`);
  }
  try {
    return new AgentDatabaseLink(agent, open, listener);
  } catch (cause) {
    if (!(cause instanceof TunnelOpenError)) throw cause;
    throw new HoopishError("agent_unavailable", `the agent for ${connection.name} takes no more connections`, {
      cause,
    });
  }
}

class AgentDatabaseLink implements DatabaseLink, StreamHandler {
  readonly #agent: AgentLink;
  readonly #open: PostgresOpen;
  readonly #listener: LinkListener;
  readonly #stream: TunnelStream;
  #answered = false;
  #ended = false;

  constructor(agent: AgentLink, open: PostgresOpen, listener: LinkListener) {
    this.#agent = agent;
    this.#open = open;
    this.#listener = listener;
    this.#stream = agent.tunnel.open(open, this);
    agent.inFlight += 1;
  }

  get agent(): DatabaseLink["agent"] {
    return this.#agent.agent.id;
  }

  write(bytes: Buffer): boolean {
    return this.#ended || this.#stream.write(bytes);
  }

  consumed(bytes: number): void {
    this.#stream.consumed(bytes);
  }

  cancelQuery(): void {
    if (this.#ended) return;
    const { connection, link } = this.#open;
    const ask: PostgresCancel = { ":kind": "postgres.cancel", connection, link };
    try {
      this.#agent.tunnel.open(ask, IGNORING, { endStream: true });
    } catch (error) {
      // Without a place for one more stream nothing can be asked; the call's own limits end it.
      if (!(error instanceof TunnelOpenError)) throw error;
    }
  }

  close(reason: string): void {
    if (this.#over()) this.#stream.reset(CANCEL, reason);
  }

  onHeaders(headers: object): void {
    if (this.#answered) return;
    this.#answered = true;
    const parsed = postgresAnswerSchema.safeParse(headers);
    if (parsed.success) this.#listener.onAnswer(parsed.data);
    else this.#broken();
  }

  onData(chunk: Buffer): void {
    if (this.#ended) this.#stream.consumed(chunk.length);
    else if (this.#answered) this.#listener.onData(chunk);
    else this.#broken();
  }

  onEnd(): void {
    if (!this.#over()) return;
    this.#stream.end();
    this.#listener.onEnd("the database closed the connection");
  }

  onReset(error: StreamResetError): void {
    if (this.#over()) this.#listener.onEnd(error.reason ?? "the agent is gone");
  }

  onDrain(): void {
    this.#listener.onDrain();
  }

  #broken(): void {
    if (!this.#over()) return;
    this.#stream.reset(PROTOCOL_ERROR);
    this.#listener.onEnd("the agent broke the protocol");
  }

  /** @returns true the first time */
  #over(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#agent.inFlight -= 1;
    return true;
  }
}

const IGNORING: StreamHandler = { onData() {}, onEnd() {}, onReset() {} };
