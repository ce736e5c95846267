/** For tests and benchmarks: a TCP relay that behaves like a link with a delay, a rate and a queue in front of it. */
import type { Buffer } from "node:buffer";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface LinkOptions {
  /** One way, milliseconds. */
  readonly delayMs: number;
  /** Each way, bits a second. */
  readonly bitsPerSecond: number;
  /** What the link's queue holds before it stops taking from the sender, bytes. */
  readonly queueBytes: number;
}

export interface Link {
  readonly port: number;
  /** Cuts every connection, as a broken network does. */
  cut(): void;
  /** Nothing arrives any more, either way, and nobody is told. */
  hold(): void;
  close(): void;
}

/** Listens on 127.0.0.1 and relays to `targetPort` there. */
export async function openLink(targetPort: number, options: LinkOptions): Promise<Link> {
  const sockets = new Set<Socket>();
  const state = { held: false };
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port: targetPort, host: "127.0.0.1", noDelay: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    shape(near, far, options, state);
    shape(far, near, options, state);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    hold: () => {
      state.held = true;
    },
    close: () => {
      cut();
      server.close();
    },
  };
}

/** One direction: a chunk leaves when the link is free and its bytes have been clocked out, and arrives a delay later. */
function shape(from: Socket, to: Socket, options: LinkOptions, state: { readonly held: boolean }): void {
  const { delayMs, bitsPerSecond, queueBytes } = options;
  const bytesPerMs = bitsPerSecond / 8000;
  const underWay: { readonly chunk: Buffer; readonly leaves: number }[] = [];
  let freeAt = 0;
  let queued = 0;
  let left = 0;
  const clock = setInterval(() => {
    if (state.held) return;
    const now = performance.now();
    while (left < underWay.length && (underWay[left] as { leaves: number }).leaves <= now) {
      queued -= (underWay[left++] as { chunk: Buffer }).chunk.length;
    }
    if (queued < queueBytes && from.isPaused()) from.resume();
    while (underWay[0] !== undefined && underWay[0].leaves + delayMs <= now) {
      to.write((underWay.shift() as { chunk: Buffer }).chunk);
      left -= 1;
    }
  }, 1).unref();
  from.on("data", (chunk: Buffer) => {
    // In pieces, as packets would go: a chunk that a read happened to join must not arrive only when it is complete.
    for (let at = 0; at < chunk.length; at += 8192) {
      const piece = chunk.subarray(at, at + 8192);
      freeAt = Math.max(freeAt, performance.now()) + piece.length / bytesPerMs;
      underWay.push({ chunk: piece, leaves: freeAt });
      queued += piece.length;
    }
    if (queued >= queueBytes) from.pause();
  });
  from.on("close", () => clearInterval(clock));
}
