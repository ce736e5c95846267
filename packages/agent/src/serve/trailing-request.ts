import { type ClientRequest, type IncomingMessage, request } from "node:http";
import type { Duplex } from "node:stream";
import type { buildConnector, Dispatcher } from "undici";
import { RequestBody } from "./body.ts";
import type { CallDispatcher, Carrier, UpstreamHandler, UpstreamRequest } from "./dispatcher.ts";

/**
 * Sends requests that end with trailers, which undici cannot, through node:http: chunked, on a socket of their own.
 * Handlers cannot tell it from undici.
 */
export function createTrailingDispatcher(origin: string, connect: buildConnector.connector): CallDispatcher {
  const { protocol, host, hostname, port } = new URL(origin);
  const to = { protocol, host, hostname: hostname.replace(/^\[(.*)\]$/, "$1"), port };
  return {
    dispatch(call, handler) {
      try {
        const message = request({
          method: call.method,
          path: call.path,
          headers: ["host", host, "connection", "close", "transfer-encoding", "chunked", ...call.headers],
          createConnection: (_, created) => {
            connect(to, (error, socket) => created(error, socket as Duplex));
            return undefined;
          },
        });
        carry(message, call.body, handler);
      } catch (error) {
        // node:http refuses a name or value that HTTP cannot carry; undici's code for the same.
        handler.onResponseError?.(NOT_STARTED, Object.assign(error as Error, { code: "UND_ERR_INVALID_ARG" }));
      }
    },
  };
}

/** For a handler that is told of an error before there is anything to control. */
const NOT_STARTED: Dispatcher.DispatchController = {
  aborted: true,
  paused: false,
  reason: null,
  abort: () => {},
  pause: () => {},
  resume: () => {},
};

function carry(message: ClientRequest, body: UpstreamRequest["body"], handler: UpstreamHandler): void {
  const controller = new MessageController(message);
  handler.carrier = controller;
  let over = false;
  const fail = (error: Error): void => {
    if (over) return;
    over = true;
    message.destroy();
    handler.onResponseError?.(controller, error);
  };
  message.on("error", fail);
  message.on("response", (answer) => {
    controller.answer = answer;
    answer.on("error", fail);
    handler.onResponseStart?.(controller, answer.statusCode ?? 0, fields(answer.rawHeaders), answer.statusMessage);
    answer.on("data", (chunk: Buffer) => {
      if (!over) handler.onResponseData?.(controller, chunk);
    });
    answer.on("end", () => {
      if (over) return;
      over = true;
      handler.onResponseEnd?.(controller, fields(answer.rawTrailers));
    });
  });
  handler.onRequestStart?.(controller, null);
  send(message, body).catch(fail);
}

async function send(message: ClientRequest, body: UpstreamRequest["body"]): Promise<void> {
  if (body instanceof RequestBody) {
    for await (const chunk of body) {
      if (!message.write(chunk)) await drained(message);
    }
    message.addTrailers(pairs(body.trailers));
  } else if (body !== null) message.write(body);
  message.end();
}

function drained(message: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    message.once("drain", resolve);
    message.once("close", resolve);
  });
}

/** name, value, name, value … → what node:http takes for trailers. */
function pairs(list: readonly string[]): [name: string, value: string][] {
  return list.flatMap((name, at) => (at % 2 === 0 ? [[name, list[at + 1] as string] as [string, string]] : []));
}

/** node:http's raw list → the shape in which undici gives fields. */
function fields(raw: readonly string[]): Record<string, string | string[]> {
  const byName = new Map<string, string[]>();
  for (const [name, value] of pairs(raw)) {
    const values = byName.get(name.toLowerCase());
    if (values === undefined) byName.set(name.toLowerCase(), [value]);
    else values.push(value);
  }
  return Object.fromEntries(byName);
}

class MessageController implements Dispatcher.DispatchController, Carrier {
  readonly #message: ClientRequest;
  answer: IncomingMessage | undefined = undefined;
  constructor(message: ClientRequest) {
    this.#message = message;
  }
  get socketBroke(): boolean {
    return this.#message.socket?.errored != null;
  }
  get aborted(): boolean {
    return this.#message.destroyed;
  }
  get paused(): boolean {
    return this.answer?.isPaused() ?? false;
  }
  get reason(): Error | null {
    return this.#message.errored;
  }
  abort(reason: Error): void {
    this.#message.destroy(reason);
  }
  pause(): void {
    this.answer?.pause();
  }
  resume(): void {
    this.answer?.resume();
  }
}
