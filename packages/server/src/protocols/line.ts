import type { Duplex } from "node:stream";
import type { EndListener } from "../sessions/end-listeners.ts";
import type { Session } from "../sessions/session.ts";

/** One tunnelled TCP connection is spoken with in a protocol. */
export interface StreamEntry {
  /** Speaks with a client on a tunnel stream, in this session. */
  accept(stream: Duplex, session: Session): void;
  /** What runs goes on, and nothing new begins. */
  drain(): void;
  close(): void;
}

/** How long a refused client may go on sending before its connection is cut. */
export const LINGER_MS = 1_000;

/** Running calls say why themselves, as far as they still can; then the line goes. */
export function cutWithSession(stream: Duplex, session: Session): void {
  const cut: EndListener = {
    place: -1,
    sessionEnded: () => setTimeout(() => stream.destroy(), LINGER_MS / 2).unref(),
  };
  session.onEnd(cut);
  stream.once("close", () => session.offEnd(cut));
}
