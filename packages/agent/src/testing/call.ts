import {
  type HeaderList,
  type HttpAnswer,
  type HttpCall,
  httpAnswerSchema,
  newCallId,
  type StreamError,
} from "@hoopish/protocol";
import type { StreamResetError, Tunnel, TunnelStream } from "@hoopish/tunnel";

export interface CallOptions {
  readonly connection?: string;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: HeaderList;
  /** Sent at once, with the end of the stream. */
  readonly body?: Uint8Array | string;
  /** Absent: the body's length; null: unknown. */
  readonly length?: number | null;
  readonly timeoutMs?: number;
  /** Leaves the request's direction open: the test writes to `stream` itself. */
  readonly keepOpen?: boolean;
  /** Gives no credit back for the answer's body until `take()`. */
  readonly stall?: boolean;
}

/** A call as the server makes it, and everything that has come back so far. */
export interface TestCall {
  readonly stream: TunnelStream;
  readonly chunks: Buffer[];
  answer: HttpAnswer | undefined;
  trailers: HeaderList | undefined;
  ended: boolean;
  reset: StreamResetError | undefined;
  /** The answer's head is there, or an error, or a reset. */
  readonly head: Promise<void>;
  /** The answer has ended one way or the other. */
  readonly done: Promise<void>;
  /** Gives credit for what has come and for what comes from now on. */
  take(): void;
}

export function open(tunnel: Tunnel, options: CallOptions = {}): TestCall {
  const body = typeof options.body === "string" ? Buffer.from(options.body) : options.body;
  const length = options.length === undefined ? (options.keepOpen ? null : (body?.length ?? 0)) : options.length;
  const opening: HttpCall = {
    ":kind": "http",
    call: newCallId(),
    connection: options.connection ?? "model",
    method: options.method ?? (body === undefined ? "GET" : "POST"),
    path: options.path ?? "/",
    headers: options.headers ?? [],
    ...(length === null ? {} : { length }),
    timeoutMs: options.timeoutMs ?? 10_000,
  };
  let stalled = options.stall === true;
  const head = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  const finish = (): void => {
    head.resolve();
    done.resolve();
  };
  const stream = tunnel.open(
    opening,
    {
      onHeaders(headers) {
        call.answer = httpAnswerSchema.parse(headers);
        head.resolve();
      },
      onData(chunk, it) {
        call.chunks.push(chunk);
        if (!stalled) it.consumed(chunk.length);
      },
      onEnd(trailers) {
        call.trailers = trailers?.trailers as HeaderList | undefined;
        call.ended = true;
        finish();
      },
      onReset(error) {
        call.reset = error;
        finish();
      },
    },
    { endStream: options.keepOpen !== true, ...(body === undefined ? {} : { body }) },
  );
  const call: TestCall = {
    stream,
    chunks: [],
    answer: undefined,
    trailers: undefined,
    ended: false,
    reset: undefined,
    head: head.promise,
    done: done.promise,
    take() {
      stalled = false;
      for (const chunk of call.chunks) stream.consumed(chunk.length);
    },
  };
  return call;
}

export interface Answered {
  readonly status: number | undefined;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
  readonly trailers: HeaderList | undefined;
  readonly error: StreamError | undefined;
  readonly reset: StreamResetError | undefined;
}

/** Makes a call and waits for its end. */
export async function send(tunnel: Tunnel, options: CallOptions = {}): Promise<Answered> {
  const call = open(tunnel, options);
  await call.done;
  return answered(call);
}

export function answered({ answer, chunks, trailers, reset }: TestCall): Answered {
  const head = answer !== undefined && "status" in answer ? answer : undefined;
  const list = head?.headers ?? [];
  return {
    status: head?.status,
    headers: new Map(list.flatMap((name, at) => (at % 2 === 0 ? [[name, list[at + 1] ?? ""] as const] : []))),
    body: Buffer.concat(chunks),
    trailers,
    error: answer !== undefined && "error" in answer ? answer.error : undefined,
    reset,
  };
}

/** Waits for a condition, at most five seconds. @throws Error with `what` */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 5_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
