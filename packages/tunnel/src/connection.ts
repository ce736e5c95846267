import type { Buffer } from "node:buffer";
import {
  encodeGoaway,
  encodeHeaders,
  encodePing,
  encodeRstStream,
  encodeSettings,
  encodeWindowUpdate,
  type FrameHeaders,
  MAX_DATA_BYTES,
  MAX_STREAM_ID,
  TunnelErrorCode,
} from "@hoopish/protocol";
import { AnnouncedWindows } from "./announced-windows.ts";
import type { FrameSink, OpenOptions, StreamHandler } from "./api.ts";
import { StreamResetError, TunnelOpenError } from "./errors.ts";
import { HandlerCalls } from "./handler-calls.ts";
import { Inbound, type InboundTarget } from "./inbound.ts";
import { Keepalive } from "./keepalive.ts";
import { PROTOCOL_VERSION, type TunnelLimits } from "./limits.ts";
import { Outbound } from "./outbound.ts";
import { ReceiveWindow, WindowBudget } from "./receive-window.ts";
import { Stream, type StreamOwner } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";

/** What the core tells its shell. Calls are synchronous, from `receive`, `pull` or a method of a stream. */
export interface ConnectionEvents {
  /** The peer opened a stream; the shell sets its handler before returning. */
  onStream(stream: Stream, endStream: boolean): void;
  /** A GOAWAY went either way: no stream can be opened any more. */
  onDraining(debug: string): void;
  /** The tunnel drains and its last stream is gone. May come more than once. */
  onDrained(): void;
  /** There is something to pull, where there was nothing. */
  onOutput(): void;
  /** A handler threw; its stream has been reset. */
  onHandlerError(error: unknown, stream: Stream): void;
}

/** Open; draining: a GOAWAY went either way and no stream may be opened; closed: nothing moves any more. */
export type ConnectionState = "open" | "draining" | "closed";

/**
 * One end of a tunnel without I/O: messages in through `receive`, frames out through `pull`, time as an argument
 * (milliseconds of a monotonic clock). Longer than most files because the life of a stream has two owners, the
 * application and the peer, and what both may do to it should be read in one place; `inbound.ts` has the peer's rules.
 */
export class Connection implements StreamOwner, InboundTarget {
  state: ConnectionState = "open";
  readonly limits: TunnelLimits;
  readonly keepalive: Keepalive = new Keepalive();
  readonly budget: WindowBudget;
  readonly windows: AnnouncedWindows;
  readonly table: StreamTable;
  readonly calls: HandlerCalls;
  readonly #events: ConnectionEvents;
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  #creditOwed: Stream[] = [];
  /** The shell has been told that there is output, and has not pulled since. */
  #outputKnown = false;

  constructor(role: "dialler" | "acceptor", limits: TunnelLimits, events: ConnectionEvents) {
    this.limits = limits;
    this.budget = new WindowBudget(limits.tunnelWindow, limits.maxWindow);
    this.windows = new AnnouncedWindows(limits.initialWindow, limits.minWindow);
    this.table = new StreamTable(role === "dialler" ? 1 : 2);
    this.calls = new HandlerCalls((stream, error) => this.#handlerFailed(stream, error));
    this.#events = events;
    this.#inbound = new Inbound(this);
    this.#outbound = new Outbound((stream) => this.#endSent(stream));
    this.sendControl(
      encodeSettings({
        version: PROTOCOL_VERSION,
        maxConcurrentStreams: limits.maxStreams,
        initialWindowSize: limits.initialWindow,
        maxFrameSize: MAX_DATA_BYTES,
      }),
    );
  }

  /** Bytes that streams have queued. */
  get queuedBytes(): number {
    let bytes = 0;
    for (const stream of this.table.all()) bytes += stream.queue.bytes;
    return bytes;
  }

  // --- in and out: what the shell calls ---

  /** One message of the peer. @throws {RemoteProtocolError} the peer broke the rules: `abort` with its code. */
  receive(message: Buffer, now: number): void {
    if (this.state !== "closed") this.#inbound.receive(message, now);
  }

  get hasOutput(): boolean {
    return this.#outbound.pending || this.#creditOwed.length > 0 || this.#pingDue;
  }

  /** Hands frames to the sink: all control frames, then DATA of about `budget` bytes. */
  pull(sink: FrameSink, now: number, budget: number): void {
    this.#outputKnown = false;
    this.#payCredit(now);
    this.#announceWindow();
    this.#outbound.pullControl(sink);
    if (this.#pingDue) sink.message(encodePing(this.keepalive.sending(now), false));
    const drained = this.#outbound.pullData(sink, budget);
    if (drained !== undefined) {
      for (const stream of drained) this.calls.drain(stream);
    }
  }

  /** Once a keep-alive interval. False: the peer is dead. */
  tick(): boolean {
    const alive = this.keepalive.tick();
    if (this.#pingDue) this.#output();
    return alive;
  }

  // --- what the application asks for ---

  /** @throws {TunnelOpenError} if no stream can be opened; {RangeError} for headers over 64 KiB. */
  open(headers: object, handler: StreamHandler | undefined, options: OpenOptions | undefined): Stream {
    this.#requireOpen();
    const body = options?.body !== undefined && options.body.length > 0 ? options.body : undefined;
    const endNow = options?.endStream === true && body === undefined;
    const id = this.table.nextOwnId;
    const frame = encodeHeaders(id, headers, endNow);
    this.#announceWindow();
    this.table.nextOwnId = id + 2;
    const window = new ReceiveWindow(this.windows.ownStreams, this.budget);
    const stream = new Stream(this, id, headers as FrameHeaders, this.#inbound.peerWindow, window, false);
    stream.handler = handler;
    this.table.add(stream);
    this.sendControl(frame);
    if (endNow) this.localEnded(stream);
    else if (options?.endStream === true) stream.end(body);
    else if (body !== undefined) stream.write(body);
    return stream;
  }

  #requireOpen(): void {
    if (this.state === "closed") throw new TunnelOpenError("tunnel_closed");
    if (this.state === "draining") throw new TunnelOpenError("tunnel_draining");
    if (this.table.ownCount >= this.#inbound.peerMaxStreams) throw new TunnelOpenError("too_many_streams");
    if (this.table.nextOwnId <= MAX_STREAM_ID) return;
    this.goAway("stream ids are used up");
    throw new TunnelOpenError("tunnel_draining");
  }

  /** Graceful: the peer's streams so far finish, later ones are not looked at, and neither side opens more. */
  goAway(debug: string): void {
    if (this.state === "closed" || this.table.goawaySent !== undefined) return;
    this.#drain(debug);
    this.table.goawaySent = this.table.lastPeerId;
    this.sendControl(encodeGoaway(this.table.lastPeerId, TunnelErrorCode.NO_ERROR, debug));
    this.#checkDrained();
  }

  /** At once: every stream is over, and GOAWAY is all that is left to pull. */
  abort(code: TunnelErrorCode, debug: string, error?: Error): void {
    if (this.state === "closed") return;
    this.shutdown(debug, error);
    this.#outbound.control(encodeGoaway(this.table.lastPeerId, code, debug));
  }

  /** The socket is gone, or about to be. Every handler learns that its stream is over. */
  shutdown(reason: string, error?: Error): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.#outbound.clear();
    this.#creditOwed = [];
    const options = error === undefined ? undefined : { cause: error };
    for (const stream of this.table.all()) {
      this.#remove(stream);
      this.calls.reset(stream, new StreamResetError(TunnelErrorCode.CONNECT_ERROR, "tunnel", reason, options));
    }
  }

  resetStream(stream: Stream, code: TunnelErrorCode, reason: string | undefined): void {
    if (stream.state === "closed") return;
    if (code === TunnelErrorCode.NO_ERROR && stream.sendPhase === "ending") {
      stream.resetAfterEnd = code;
      return;
    }
    if (stream.state !== "half-closed-remote") {
      this.table.rememberReset(stream.id, stream.window.credit, this.keepalive.barrier);
    }
    this.#remove(stream);
    this.sendControl(encodeRstStream(stream.id, code, reason));
    this.#checkDrained();
  }

  // --- what the peer's frames ask for ---

  openedByPeer(id: number, headers: FrameHeaders, endStream: boolean): void {
    const window = new ReceiveWindow(this.windows.peerStreams, this.budget);
    const stream = new Stream(this, id, headers, this.#inbound.peerWindow, window, true);
    this.table.add(stream);
    try {
      this.#events.onStream(stream, endStream);
    } catch (error) {
      this.#handlerFailed(stream, error);
    }
    if (endStream) this.peerEnded(stream, undefined);
  }

  peerEnded(stream: Stream, trailers: FrameHeaders | undefined): void {
    if (stream.state === "closed") return;
    if (stream.state === "open") stream.state = "half-closed-remote";
    else this.#remove(stream);
    this.calls.end(stream, trailers);
    this.#checkDrained();
  }

  endedByReset(stream: Stream, error: StreamResetError): void {
    this.#remove(stream);
    this.calls.reset(stream, error);
    this.#checkDrained();
  }

  peerDrains(lastStreamId: number, _code: TunnelErrorCode, debug: string): void {
    this.#drain(debug);
    for (const stream of this.table.all()) {
      if (!this.table.isOwn(stream.id) || stream.id <= lastStreamId || stream.state === "closed") continue;
      this.#remove(stream);
      this.calls.reset(stream, new StreamResetError(TunnelErrorCode.REFUSED_STREAM, "remote", debug));
    }
    this.#checkDrained();
  }

  pingAnswered(): void {
    if (this.#pingDue) this.#output();
  }

  reply(frame: Buffer): void {
    this.#outbound.reply(frame);
    this.#output();
  }

  // --- what a stream asks for ---

  sendControl(frame: Buffer): void {
    this.#outbound.control(frame);
    this.#output();
  }

  wantsToSend(stream: Stream): void {
    this.#outbound.offer(stream);
    if (stream.inRound) this.#output();
  }

  owesCredit(stream: Stream): void {
    this.#creditOwed.push(stream);
    this.#output();
  }

  localEnded(stream: Stream): void {
    stream.sendPhase = "ended";
    if (stream.state === "open") stream.state = "half-closed-local";
    else if (stream.state === "half-closed-remote") {
      this.#remove(stream);
      this.#checkDrained();
    }
  }

  // --- inside ---

  get #pingDue(): boolean {
    return this.keepalive.due && this.state !== "closed";
  }

  #output(): void {
    if (this.#outputKnown) return;
    this.#outputKnown = true;
    this.#events.onOutput();
  }

  #payCredit(now: number): void {
    if (this.#creditOwed.length === 0) return;
    const streams = this.#creditOwed;
    this.#creditOwed = [];
    for (const stream of streams) {
      stream.creditOwed = false;
      if (stream.state === "closed" || stream.state === "half-closed-remote") continue;
      const increment = stream.window.takeIncrement(now, this.keepalive.minRttMs);
      this.#outbound.control(encodeWindowUpdate(stream.id, increment));
    }
  }

  #announceWindow(): void {
    const initialWindowSize = this.windows.adjust(this.budget);
    if (initialWindowSize !== undefined) this.#outbound.control(encodeSettings({ initialWindowSize }));
  }

  #endSent(stream: Stream): void {
    this.localEnded(stream);
    const code = stream.resetAfterEnd;
    if (code !== undefined) this.resetStream(stream, code, undefined);
  }

  #remove(stream: Stream): void {
    stream.state = "closed";
    stream.queue.clear();
    stream.window.release();
    this.table.remove(stream);
  }

  #drain(debug: string): void {
    if (this.state !== "open") return;
    this.state = "draining";
    this.#events.onDraining(debug);
  }

  #checkDrained(): void {
    if (this.state === "draining" && this.table.size === 0) this.#events.onDrained();
  }

  #handlerFailed(stream: Stream, error: unknown): void {
    this.resetStream(stream, TunnelErrorCode.INTERNAL_ERROR, undefined);
    this.#events.onHandlerError(error, stream);
  }
}
