import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { type SessionId, TunnelErrorCode } from "@hoopish/protocol";
import type { StreamHandler, Tunnel, TunnelStream } from "@hoopish/tunnel";

/**
 * One local TCP connection and its tunnel stream. The hot path: each chunk goes straight from one to the other, in the
 * turn in which it came, without a pipe, a copy or an allocation of ours.
 *
 * A stream that breaks resets the connection (RST), so that a client never takes half of an answer for all of it; a
 * client that breaks resets the stream, which cancels the model's work.
 */
export class SocketRelay implements StreamHandler {
  readonly #socket: Socket;
  readonly #onDone: () => void;
  #sentEnd = false;
  #gotEnd = false;
  /** Received bytes that the socket has not taken yet: their credit is withheld, and the server waits. */
  #owed = 0;

  private constructor(socket: Socket, onDone: () => void) {
    this.#socket = socket;
    this.#onDone = onDone;
  }

  /**
   * Opens the stream and joins the two. The socket is paused, and has no listeners for data and end.
   * @param first what the socket has sent so far
   * @param onDone called once, when the connection is over
   * @throws TunnelOpenError nothing was sent, and the socket is untouched
   */
  static start(socket: Socket, tunnel: Tunnel, session: SessionId, first: Buffer, onDone: () => void): void {
    const relay = new SocketRelay(socket, onDone);
    // The head leaves in the same write as the stream's HEADERS.
    relay.#listen(tunnel.open({ ":kind": "tcp", session }, relay, { body: first }));
  }

  #listen(stream: TunnelStream): void {
    const socket = this.#socket;
    socket.on("data", (chunk: Buffer) => {
      if (!stream.write(chunk)) socket.pause();
    });
    socket.on("end", () => {
      this.#sentEnd = true;
      stream.end();
    });
    socket.on("drain", () => {
      const owed = this.#owed;
      this.#owed = 0;
      stream.consumed(owed);
    });
    socket.on("close", () => {
      // Not after an orderly end: it would be one reset a connection, and servers limit the rate of those.
      if (!this.#sentEnd || !this.#gotEnd) stream.reset(TunnelErrorCode.CANCEL);
      this.#onDone();
    });
    socket.resume();
  }

  onData(chunk: Buffer, stream: TunnelStream): void {
    if (this.#socket.write(chunk)) stream.consumed(chunk.length);
    else this.#owed += chunk.length;
  }

  onDrain(): void {
    this.#socket.resume();
  }

  onEnd(): void {
    this.#gotEnd = true;
    this.#socket.end();
  }

  onReset(): void {
    this.#socket.resetAndDestroy();
  }
}
