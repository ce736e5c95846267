import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { TunnelErrorCode } from "@hoopish/protocol";
import type { StreamHandler, TunnelStream } from "./api.ts";

/**
 * Joins a TCP socket and a stream, both ways, with back-pressure and half-close. Sets `stream.handler`. The same as piping
 * the socket through `toDuplex`, for less. Give it a socket with `allowHalfOpen`.
 *
 * A socket that breaks resets the stream (CANCEL). A stream that is reset resets the socket (TCP RST, not FIN): what was
 * cut off must not look finished to a program that reads until the end.
 */
export function relaySocket(stream: TunnelStream, socket: Socket): void {
  const relay = new SocketRelay(stream, socket);
  stream.handler = relay;
}

class SocketRelay implements StreamHandler {
  readonly #stream: TunnelStream;
  readonly #socket: Socket;
  /** Bytes that wait in the socket's own buffer, whose credit is returned when it has drained. */
  #owed = 0;
  #peerEnded = false;

  constructor(stream: TunnelStream, socket: Socket) {
    this.#stream = stream;
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      if (!stream.write(chunk)) socket.pause();
    });
    socket.on("end", () => stream.end());
    socket.on("drain", () => this.#returnCredit());
    // 'close' follows, and does what there is to do.
    socket.on("error", () => {});
    socket.on("close", (broken: boolean) => this.#onClose(broken));
  }

  onData(chunk: Buffer): void {
    this.#owed += chunk.length;
    if (this.#socket.write(chunk)) this.#returnCredit();
  }

  onEnd(): void {
    this.#peerEnded = true;
    this.#socket.end();
  }

  onDrain(): void {
    this.#socket.resume();
  }

  onReset(): void {
    // Only a bare TCP socket can be reset.
    if ("encrypted" in this.#socket) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  #onClose(broken: boolean): void {
    if (broken || !this.#socket.readableEnded) this.#stream.reset(TunnelErrorCode.CANCEL);
    // All was read, and may still be on its way: it is sent, and the peer is asked to stop if it has not ended.
    else if (!this.#peerEnded) this.#stream.reset(TunnelErrorCode.NO_ERROR);
  }

  #returnCredit(): void {
    const bytes = this.#owed;
    this.#owed = 0;
    this.#stream.consumed(bytes);
  }
}
