import { BINARY, CLOSE, encodeClose, encodeWebSocketMessage, TEXT } from "@hoopish/protocol";
import type { WebSocket } from "ws";
import type { RequestBody } from "../../relay/exchange.ts";

const NOTHING = Buffer.alloc(0);
/** Messages of a client that wait to be judged, bytes: then it is not read from. */
const MAX_WAITING = 1_048_576;

/** What a client says once the WebSocket is open. The handshake itself has no body: it is judged before anything can come. */
export class WebSocketBody implements RequestBody {
  readonly trailers: readonly string[] = [];
  #socket: WebSocket | undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #ended = false;
  #wake: (() => void) | undefined;

  /** The handshake is done. */
  attach(socket: WebSocket): void {
    this.#socket = socket;
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      this.#push(encodeWebSocketMessage(isBinary ? BINARY : TEXT, data));
      if (this.#waitingBytes > MAX_WAITING) socket.pause();
    });
    socket.on("close", (code, reason) => {
      if (code !== 1006)
        this.#push(code === 1005 ? encodeWebSocketMessage(CLOSE, NOTHING) : encodeClose(code, reason.toString("utf8")));
      this.end();
    });
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  arrived(): Promise<Buffer | undefined> {
    return Promise.resolve(undefined);
  }

  prefix(): Promise<{ readonly bytes: Buffer; readonly ended: boolean }> {
    return Promise.resolve({ bytes: NOTHING, ended: false });
  }

  async *rest(): AsyncGenerator<Buffer> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next !== undefined) {
        this.#waitingBytes -= next.length;
        if (this.#waitingBytes <= MAX_WAITING) this.#socket?.resume();
        yield next;
      } else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #push(message: Buffer): void {
    this.#waiting.push(message);
    this.#waitingBytes += message.length;
    this.#wake?.();
  }
}
