import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { HoopishError, type SessionEvent, type SessionId, type SessionInfo, type SessionOpen } from "@hoopish/protocol";
import { relaySocket, TunnelOpenError } from "@hoopish/tunnel";
import type { Interior } from "./front-door.ts";
import type { Link } from "./link.ts";
import { type OpenSession, openSession, type SessionEnd } from "./session.ts";

/** How long the server has to close its side of a session that we close. */
const CLOSE_MS = 2_000;
const AGAIN_MS = 500;

export interface KeeperEvents {
  /** A session is open: the first one, or one after a broken tunnel. */
  onReady(info: SessionInfo): void;
  onEvent(info: SessionInfo, event: SessionEvent): void;
}

/** Keeps one connection's session open across tunnels, and lets local connections into it. */
export class Keeper implements Interior {
  readonly #link: Link;
  readonly #request: Omit<SessionOpen, "previous">;
  readonly #events: KeeperEvents;
  readonly #signal: AbortSignal;
  readonly #keyed: boolean;
  #live: OpenSession | undefined;
  #waiters: { resolve(): void; reject(reason: unknown): void }[] = [];
  /** Local connections in each session: one on a draining tunnel is closed when its last has ended. */
  readonly #relays = new Map<OpenSession, number>();

  /** @param keyed local programs must show a key, as clients of HTTP can */
  constructor(
    link: Link,
    request: Omit<SessionOpen, "previous">,
    events: KeeperEvents,
    signal: AbortSignal,
    keyed = false,
  ) {
    this.#keyed = keyed;
    this.#link = link;
    this.#request = request;
    this.#events = events;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#wake(signal.reason), { once: true });
  }

  /**
   * Opens the session, and again when the tunnel broke.
   * @returns how the session ended for good
   * @throws HoopishError the server refused to open it; the link has failed; the signal's reason when it is aborted
   */
  async run(): Promise<SessionEnd & { readonly kind: "closed" }> {
    let previous: SessionId | undefined;
    for (;;) {
      const session = await this.#open(previous);
      if (session === undefined) continue;
      previous = session.info.id;
      this.#live = session;
      this.#events.onReady(session.info);
      this.#wake(undefined);
      const draining = session.tunnel.draining.then(() => "draining" as const);
      const end = await Promise.race([session.ended, draining]);
      this.#live = undefined;
      if (end === "draining") this.#retire(session);
      else if (end.kind === "closed") return end;
      // Reset on a tunnel that lives: without a pause a server in trouble would be asked without end.
      else if (session.tunnel.state === "open") await sleep(AGAIN_MS, undefined, { signal: this.#signal });
    }
  }

  enter(socket: Socket, first: Buffer): boolean {
    const session = this.#live;
    if (session === undefined) return false;
    try {
      // The head leaves in the same write as the stream's HEADERS.
      const stream = session.tunnel.open({ ":kind": "tcp", session: session.info.id }, undefined, { body: first });
      relaySocket(stream, socket);
    } catch (error) {
      // Draining, or as many streams as the server allows: nothing of this connection was sent.
      if (error instanceof TunnelOpenError) return false;
      throw error;
    }
    this.#relays.set(session, (this.#relays.get(session) ?? 0) + 1);
    socket.on("close", () => this.#left(session));
    socket.resume();
    return true;
  }

  async opened(signal: AbortSignal): Promise<void> {
    if (this.#signal.aborted) throw this.#signal.reason;
    // Live and yet not entered: the server's limit of streams. One may end at any moment.
    if (this.#live !== undefined) return void (await sleep(50, undefined, { signal }));
    await new Promise<void>((resolve, reject) => {
      const waiter = { resolve, reject };
      this.#waiters.push(waiter);
      signal.addEventListener("abort", () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(signal.reason);
      });
    });
  }

  /** Closes the session and waits until the server has done so too, for a moment. */
  async close(): Promise<void> {
    const session = this.#live;
    if (session === undefined) return;
    session.close();
    await Promise.race([session.ended, sleep(CLOSE_MS, undefined, { ref: false })]);
  }

  /** Undefined: not now, but another try may do. */
  async #open(previous: SessionId | undefined): Promise<OpenSession | undefined> {
    const tunnel = await this.#link.connected(this.#signal).catch(() => {
      this.#signal.throwIfAborted();
      return this.#link.failed;
    });
    const onEvent = (info: SessionInfo, event: SessionEvent): void => this.#events.onEvent(info, event);
    try {
      const session = await openSession(tunnel, { ...this.#request, ...(previous && { previous }) }, onEvent);
      if (this.#keyed && session.info.protocol !== "http") throw notKeyed(session);
      return session;
    } catch (error) {
      const refused = error instanceof HoopishError && !(error.shape.retryable && previous !== undefined);
      if (refused) throw error;
      await sleep(AGAIN_MS, undefined, { signal: this.#signal });
      return undefined;
    }
  }

  #retire(session: OpenSession): void {
    if ((this.#relays.get(session) ?? 0) === 0) session.close();
  }

  #left(session: OpenSession): void {
    const left = (this.#relays.get(session) ?? 1) - 1;
    this.#relays.set(session, left);
    if (left > 0) return;
    this.#relays.delete(session);
    if (session !== this.#live) session.close();
  }

  #wake(reason: unknown): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) reason === undefined ? waiter.resolve() : waiter.reject(reason);
  }
}

/** Whoever cannot show a key would be let in without one. */
function notKeyed({ info, close }: OpenSession): HoopishError {
  close();
  return new HoopishError("usage", `clients of ${info.connection}, which speaks ${info.protocol}, cannot send a key`, {
    hint: "leave --require-key out, where nobody else uses this machine",
  });
}
