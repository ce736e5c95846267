import {
  type AgentId,
  type HeaderList,
  HoopishError,
  type HttpAnswer,
  httpAnswerSchema,
  trailersSchema,
} from "@hoopish/protocol";
import { type StreamHandler, type StreamResetError, TunnelOpenError, type TunnelStream } from "@hoopish/tunnel";
import type { AgentDispatch, Upstream, UpstreamListener } from "../relay/ports.ts";
import { connectDatabase } from "./database-link.ts";
import type { AgentLink, Roster } from "./roster.ts";

/** CANCEL and PROTOCOL_ERROR of RFC 9113 §7. */
const CANCEL = 0x8;
const PROTOCOL_ERROR = 0x1;
const NO_TRAILERS: HeaderList = [];

/** Sends calls to the connected agents. */
export function createDispatch(roster: Roster): AgentDispatch {
  return {
    dispatch(connection, call, body, trailers, listener) {
      const link = roster.pick(connection);
      if (link === undefined) {
        throw new HoopishError("agent_unavailable", `no agent for ${connection.name} is connected`);
      }
      const upstream = new AgentCall(link, listener);
      const whole = body !== undefined && trailers.length === 0;
      try {
        upstream.open(call, body, whole);
      } catch (cause) {
        if (!(cause instanceof TunnelOpenError)) throw cause;
        throw new HoopishError("agent_unavailable", `the agent for ${connection.name} takes no more calls`, { cause });
      }
      if (body !== undefined && !whole) upstream.end(trailers);
      return upstream;
    },
    connect: (connection, open, listener) => connectDatabase(roster, connection, open, listener),
  };
}

class AgentCall implements Upstream, StreamHandler {
  readonly #link: AgentLink;
  readonly #listener: UpstreamListener;
  #stream!: TunnelStream;
  #ended = false;
  #answered = false;

  constructor(link: AgentLink, listener: UpstreamListener) {
    this.#link = link;
    this.#listener = listener;
  }

  open(call: object, body: Buffer | undefined, endStream: boolean): void {
    const first = body === undefined || body.length === 0 ? {} : { body };
    this.#stream = this.#link.tunnel.open(call, this, { endStream, ...first });
    this.#link.inFlight += 1;
  }

  get agent(): AgentId {
    return this.#link.agent.id;
  }

  write(bytes: Buffer): boolean {
    return this.#ended || this.#stream.write(bytes);
  }

  end(trailers: HeaderList): void {
    if (this.#ended) return;
    if (trailers.length === 0) this.#stream.end();
    else this.#stream.endWithTrailers({ trailers });
  }

  consumed(bytes: number): void {
    this.#stream.consumed(bytes);
  }

  cancel(reason: string): void {
    if (this.#over()) this.#stream.reset(CANCEL, reason);
  }

  onHeaders(headers: object): void {
    if (this.#answered) return;
    this.#answered = true;
    const answer = parseAnswer(headers);
    if (answer === undefined) this.#broken();
    else this.#listener.onAnswer(answer);
  }

  onData(chunk: Buffer): void {
    if (this.#ended) this.#stream.consumed(chunk.length);
    else if (!this.#answered) this.#broken();
    else this.#listener.onData(chunk);
  }

  onEnd(trailers: object | undefined): void {
    if (!this.#over()) return;
    const parsed = trailers === undefined ? undefined : trailersSchema.safeParse(trailers);
    if (parsed?.success === false) this.#listener.onBroken("the agent broke the protocol");
    else this.#listener.onEnd(parsed?.data.trailers ?? NO_TRAILERS);
  }

  onReset(error: StreamResetError): void {
    if (this.#over()) this.#listener.onBroken(error.reason ?? "the agent is gone");
  }

  onDrain(): void {
    this.#listener.onDrain();
  }

  #broken(): void {
    if (!this.#over()) return;
    this.#stream.reset(PROTOCOL_ERROR);
    this.#listener.onBroken("the agent broke the protocol");
  }

  /** @returns true the first time */
  #over(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#link.inFlight -= 1;
    return true;
  }
}

/** The usual answer is checked by hand: it is on every call's path, and its schema costs ten times as much. */
function parseAnswer(headers: object): HttpAnswer | undefined {
  const { status, headers: list } = headers as { status?: unknown; headers?: unknown };
  if (typeof status === "number" && Number.isInteger(status) && status >= 200 && status <= 599 && isHeaderList(list)) {
    return { status, headers: list };
  }
  const parsed = httpAnswerSchema.safeParse(headers);
  return parsed.success ? parsed.data : undefined;
}

function isHeaderList(list: unknown): list is HeaderList {
  return Array.isArray(list) && list.length % 2 === 0 && list.every((item) => typeof item === "string");
}
