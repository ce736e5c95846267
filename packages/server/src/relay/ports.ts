import type {
  AgentId,
  HeaderList,
  HoopishError,
  HttpAnswer,
  HttpCall,
  PostgresAnswer,
  PostgresOpen,
  WebSocketOpen,
} from "@hoopish/protocol";
import type { ApprovalDesk } from "../approvals/port.ts";
import type { ConnectionConfig } from "../config/config.ts";
import type { EvidenceLog } from "../evidence/port.ts";
import type { Masks } from "../masking/plans.ts";
import type { Policy } from "../policy/policy.ts";
import type { Charge, Usage } from "../policy/question.ts";
import type { WaitingRoom } from "./waiting-room.ts";

/** What the relay needs of the rest of the server. */
export interface RelayPorts {
  readonly policy: () => Policy;
  /** What is masked on a connection. */
  readonly masks: Masks;
  readonly log: EvidenceLog;
  readonly agents: AgentDispatch;
  readonly approvals: ApprovalDesk;
  readonly waiting: WaitingRoom;
  readonly usage: UsageCounters;
  /** Calls under way by connection, for its limit. */
  readonly inFlight: Map<string, number>;
  readonly now: () => number;
  /** True while the server drains: what runs ends, nothing starts. */
  readonly draining: () => boolean;
}

/** What rates have counted. */
export interface UsageCounters {
  usage(key: string, perMs: number, nowMs: number): Usage;
  charge(charge: Charge, nowMs: number): void;
}

/** The way to the agents. */
export interface AgentDispatch {
  /**
   * Sends a call to the agent that is least busy. `body` undefined: it follows through `write`.
   * @throws HoopishError agent_unavailable
   */
  dispatch(
    connection: ConnectionConfig,
    call: HttpCall | WebSocketOpen,
    body: Buffer | undefined,
    trailers: HeaderList,
    listener: UpstreamListener,
  ): Upstream;
  /** Opens a connection to a database at the agent. @throws HoopishError agent_unavailable */
  connect(connection: ConnectionConfig, open: PostgresOpen, listener: LinkListener): DatabaseLink;
}

/** A connection to a database, as the agent made it: bytes of its protocol, both ways. */
export interface DatabaseLink {
  readonly agent: AgentId;
  /** False: wait for onDrain. */
  write(bytes: Buffer): boolean;
  /** The bytes have been dealt with: the agent may send as many more. */
  consumed(bytes: number): void;
  /** Asks the database to cancel what this connection does; nobody hears whether it did. */
  cancelQuery(): void;
  close(reason: string): void;
}

export interface LinkListener {
  onAnswer(answer: PostgresAnswer): void;
  onData(bytes: Buffer): void;
  /** The database ended it, or the agent or its tunnel broke off. */
  onEnd(reason: string): void;
  onDrain(): void;
}

export interface UpstreamListener {
  onAnswer(answer: HttpAnswer): void;
  onData(bytes: Buffer): void;
  onEnd(trailers: HeaderList): void;
  /** The answer may not go on, for a reason of ours. */
  onFailed(error: HoopishError): void;
  /** The agent or its tunnel broke off: the answer, if it had begun, is not complete. */
  onBroken(reason: string): void;
  onDrain(): void;
}

/** One call at an agent. */
export interface Upstream {
  readonly agent: AgentId;
  /** False: wait for onDrain. */
  write(bytes: Buffer): boolean;
  end(trailers: HeaderList): void;
  /** The bytes have been dealt with: the agent may send as many more. */
  consumed(bytes: number): void;
  /** Stops the model's work. */
  cancel(reason: string): void;
}
