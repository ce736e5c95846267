import type { CallId, HeaderList, HoopishError, Protocol } from "@hoopish/protocol";
import type { BodyMasker, MaskedBytes } from "../masking/masker.ts";
import type { MaskPlan } from "../masking/plan.ts";
import type { BodyReading, Operation } from "../operations/operation.ts";
import type { AgentDispatch, Upstream, UpstreamListener } from "./ports.ts";

/**
 * A call as a protocol hands it to the relay, free of how its bytes were framed; and, in methods, what is different from one
 * protocol to another in the steps of the list. The list's order is the relay's alone.
 */
export interface Exchange {
  readonly protocol: Protocol;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** With the question mark; "" when there is none. */
  readonly query: string;
  /** As received, names in lower case. */
  readonly headers: HeaderList;
  /** Declared body length, bytes; undefined: not declared, the body ends when it ends. */
  readonly length: number | undefined;
  readonly body: RequestBody;
  readonly answer: AnswerSink;
  /**
   * The request is a stream of messages, and each is a question of its own: the first is judged before the call begins, and
   * each that follows before it goes on.
   */
  readonly judgesPieces: boolean;
  /** What is asked for stands in the body alone: a call is never judged without it, and never when it is not certain. */
  readonly meaningInBody: boolean;
  /** What the body's bytes are, as far as rules may look into them. */
  read(bytes: Buffer, ended: boolean): BodyReading;
  /**
   * What is asked for.
   * @throws HoopishError bad_request for what the model server might read as something else
   */
  describe(request: ReadRequest): Operation;
  /** What rules see as `request.json`; undefined: nothing, or nothing that is certain. */
  json(request: ReadRequest): unknown;
  /** Personal data in the request, by type. @throws when it cannot be looked into */
  findings(request: ReadRequest): ReadonlyMap<string, number>;
  /**
   * The request without what the plan keeps from the model. A promise only where somebody has to be asked.
   * @throws HoopishError response_uninspectable, policy_blocked
   */
  mask(request: ReadRequest, plan: MaskPlan): MaskedBytes | Promise<MaskedBytes>;
  /** Sends it to the agent. @throws HoopishError agent_unavailable */
  forward(order: ForwardOrder, agents: AgentDispatch, listener: UpstreamListener): Upstream;
  /**
   * How the answer is looked into. Asked once, when its head is there.
   * @throws HoopishError response_uninspectable
   */
  view(head: AnswerHead, inspection: Inspection | undefined, unseen: (why: string) => void): AnswerView;
  /**
   * What of the answer's trailers goes to the client, and what they say of how the call ended.
   * @throws HoopishError when they do not end an answer of this protocol
   */
  close(trailers: HeaderList, inspection: Inspection | undefined): AnswerClose;
}

/** A request as far as it was read. */
export interface ReadRequest {
  readonly bytes: Buffer;
  /** The bytes are the whole body. */
  readonly ended: boolean;
  /** What it is. */
  readonly body: BodyReading;
}

/** What the agent is told. */
export interface ForwardOrder {
  readonly call: CallId;
  readonly request: ReadRequest;
  /** The request is not what the client sent. */
  readonly altered: boolean;
  /** The answer will be looked into: a part of one is not asked for. */
  readonly inspected: boolean;
}

/** What is looked for in an answer, and what becomes of one that cannot be looked into. */
export interface Inspection {
  readonly plan: MaskPlan;
  readonly uninspectable: "block" | "allow";
}

export interface AnswerView {
  readonly headers: HeaderList;
  /** What the answer's bytes go through; undefined: they go as they are. */
  readonly masker: BodyMasker | undefined;
  /** The head waits for the first bytes: until they were looked into, the answer may still be refused. */
  readonly holdsHead: boolean;
  /** No part of it is of use before its end: while it is small it is recorded and delivered in one. */
  readonly inOne?: boolean;
}

export interface AnswerClose {
  readonly trailers: HeaderList;
  /** As an HTTP status, where the protocol says at its end how the call went. */
  readonly status?: number;
  /** Rows that were answered, where the protocol has such. */
  readonly rows?: number;
}

export interface RequestBody {
  /** All of it, if it came together with the head and is no longer than this; as good as at once. */
  arrived(limitBytes: number): Promise<Buffer | undefined>;
  /** Reads until the end or until more than `limitBytes` have come. `ended`: that was all of it. */
  prefix(limitBytes: number): Promise<{ readonly bytes: Buffer; readonly ended: boolean }>;
  /** What follows the prefix, at the pace of whoever iterates. @throws when the client is gone */
  rest(): AsyncIterable<Buffer>;
  /** After the end. */
  readonly trailers: HeaderList;
}

/** Where the answer goes. Nothing is given to it before its record is durable. */
export interface AnswerSink {
  /** The client went away before the answer was complete. */
  onGone(listener: () => void): void;
  readonly headSent: boolean;
  /** The whole answer in one write. */
  whole(head: AnswerHead, body: Buffer | undefined): void;
  head(head: AnswerHead): void;
  /** False: wait for `onDrain` before more is asked for. */
  write(bytes: Buffer): boolean;
  onDrain(listener: () => void): void;
  end(trailers: HeaderList): void;
  /** A refusal in the client's own protocol: what would be sent, so that it can be recorded first. */
  refusal(error: HoopishError): { readonly head: AnswerHead; readonly body: Buffer };
  /**
   * Ends an answer that is not complete, so that the client can never take what it has for one: says why where the protocol
   * can, else cuts the connection.
   */
  cut(error: HoopishError): void;
  /** The same, once what was written has had time to leave: for an answer that broke off by itself. */
  cutSoon(error: HoopishError): void;
}

export interface AnswerHead {
  readonly status: number;
  readonly headers: HeaderList;
}
