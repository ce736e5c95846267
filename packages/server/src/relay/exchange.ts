import type { HeaderList, HoopishError, Protocol } from "@hoopish/protocol";

/** A call as a protocol hands it to the relay, free of how its bytes were framed. */
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
  /** Cuts the client's connection, so that it can never take what it has for a complete answer. */
  cut(): void;
  /** The same, once what was written has had time to leave: for an answer that broke off by itself. */
  cutSoon(): void;
}

export interface AnswerHead {
  readonly status: number;
  readonly headers: HeaderList;
}
