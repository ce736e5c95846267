import type { Buffer } from "node:buffer";
import {
  decodeFrame,
  encodePing,
  encodeRstStream,
  encodeSettingsAck,
  type FrameHeaders,
  FrameType,
  MAX_WINDOW,
  RemoteProtocolError,
  type Settings,
  TunnelErrorCode,
} from "@hoopish/protocol";
import type { AnnouncedWindows } from "./announced-windows.ts";
import { StreamResetError } from "./errors.ts";
import type { HandlerCalls } from "./handler-calls.ts";
import type { Keepalive } from "./keepalive.ts";
import { DEFAULT_INITIAL_WINDOW, DEFAULT_MAX_STREAMS, MAX_INTERIM_HEADERS, type TunnelLimits } from "./limits.ts";
import type { WindowBudget } from "./receive-window.ts";
import type { Stream } from "./stream.ts";
import { flowControlError, type StreamTable, streamClosed } from "./stream-table.ts";
import { TokenBucket } from "./token-bucket.ts";

/** What the frames of the peer act on: the rest of the connection. */
export interface InboundTarget {
  readonly limits: TunnelLimits;
  readonly table: StreamTable;
  readonly calls: HandlerCalls;
  readonly keepalive: Keepalive;
  readonly windows: AnnouncedWindows;
  readonly budget: WindowBudget;
  /** Sends a frame that the peer made us send. */
  reply(frame: Buffer): void;
  openedByPeer(id: number, headers: FrameHeaders, endStream: boolean): void;
  peerEnded(stream: Stream, trailers: FrameHeaders | undefined): void;
  endedByReset(stream: Stream, error: StreamResetError): void;
  wantsToSend(stream: Stream): void;
  pingAnswered(): void;
  peerDrains(lastStreamId: number, code: TunnelErrorCode, debug: string): void;
}

/** What each frame of the peer means in each state. It trusts nothing: every rule that a frame may break is here. */
export class Inbound {
  /** What the peer has announced: credit of a new stream, and how many this side may have open. */
  peerWindow: number = DEFAULT_INITIAL_WINDOW;
  peerMaxStreams: number = DEFAULT_MAX_STREAMS;
  #settingsSeen = false;
  readonly #target: InboundTarget;
  readonly #opens: TokenBucket;
  readonly #resets: TokenBucket;
  readonly #controls: TokenBucket;

  constructor(target: InboundTarget) {
    const { limits } = target;
    this.#target = target;
    this.#opens = new TokenBucket(limits.opensPerSecond, limits.opensBurst);
    this.#resets = new TokenBucket(limits.resetsPerSecond, limits.resetsBurst);
    this.#controls = new TokenBucket(limits.controlPerSecond, limits.controlBurst);
  }

  /** One message. @throws {RemoteProtocolError} the peer broke the rules. */
  receive(message: Buffer, now: number): void {
    this.#target.keepalive.heard();
    const frame = decodeFrame(message);
    if (frame === undefined) {
      this.#countControl(now);
      return;
    }
    if (!this.#settingsSeen && frame.type !== FrameType.SETTINGS) throw protocolError("the first frame is SETTINGS");
    switch (frame.type) {
      case FrameType.DATA:
        this.#onData(frame.streamId, frame.payload, frame.endStream, now);
        break;
      case FrameType.HEADERS:
        this.#onHeaders(frame.streamId, frame.headers, frame.endStream, now);
        break;
      case FrameType.WINDOW_UPDATE:
        this.#onWindowUpdate(frame.streamId, frame.increment);
        break;
      case FrameType.RST_STREAM:
        this.#onRstStream(frame.streamId, frame.code, frame.reason, now);
        break;
      case FrameType.SETTINGS:
        if (frame.ack) this.#onSettingsAck();
        else this.#onSettings(frame.settings, now);
        break;
      case FrameType.PING:
        if (frame.ack) this.#onPingAck(frame.opaque, now);
        else this.#onPing(frame.opaque, now);
        break;
      case FrameType.GOAWAY:
        this.#target.peerDrains(frame.lastStreamId, frame.code, frame.debug);
        break;
    }
  }

  #onData(id: number, payload: Buffer, endStream: boolean, now: number): void {
    // An empty frame that ends nothing costs its sender nothing and us a turn (CVE-2019-9518).
    if (payload.length === 0 && !endStream) throw protocolError("empty DATA without END_STREAM");
    const { table, calls } = this.#target;
    const stream = table.get(id);
    if (stream === undefined) {
      table.acceptLate("DATA", id, payload.length, endStream);
      return;
    }
    if (stream.state === "half-closed-remote") throw streamClosed("DATA", id);
    if (!stream.window.receive(payload.length, now)) throw flowControlError(id);
    stream.dataReceived = true;
    if (payload.length > 0) calls.data(stream, payload);
    if (endStream) this.#target.peerEnded(stream, undefined);
  }

  #onHeaders(id: number, headers: FrameHeaders, endStream: boolean, now: number): void {
    const { table, calls } = this.#target;
    const stream = table.get(id);
    if (stream === undefined) {
      if (table.isOwn(id) || !table.isIdle(id)) table.acceptLate("HEADERS", id, 0, endStream);
      else this.#onOpen(id, headers, endStream, now);
      return;
    }
    if (stream.state === "half-closed-remote") throw streamClosed("HEADERS", id);
    // HEADERS that end a direction are its trailers, unless they are all that there is of it.
    const first = !stream.dataReceived && stream.headersReceived === 0;
    if (endStream && !first) {
      this.#target.peerEnded(stream, headers);
      return;
    }
    if (stream.dataReceived) throw protocolError("HEADERS after DATA end the stream");
    stream.headersReceived += 1;
    if (stream.headersReceived > MAX_INTERIM_HEADERS) throw calm("too many HEADERS on a stream");
    calls.headers(stream, headers, endStream);
    if (endStream) this.#target.peerEnded(stream, undefined);
  }

  #onOpen(id: number, headers: FrameHeaders, endStream: boolean, now: number): void {
    const { table, windows, budget, keepalive, limits } = this.#target;
    table.lastPeerId = id;
    if (!this.#opens.take(now)) throw calm("streams are opened too often");
    // After our GOAWAY the peer takes these for unprocessed, and may open them again elsewhere.
    if (table.goawaySent !== undefined) return;
    if (table.peerCount < limits.maxStreams && windows.admits(budget)) {
      this.#target.openedByPeer(id, headers, endStream);
      return;
    }
    this.#countReset(now);
    if (!endStream) table.rememberReset(id, windows.peerStreams, keepalive.barrier);
    this.#target.reply(encodeRstStream(id, TunnelErrorCode.REFUSED_STREAM));
  }

  #onWindowUpdate(id: number, increment: number): void {
    const stream = this.#target.table.get(id);
    if (stream === undefined) {
      // It may have crossed the end of the stream, so on a closed stream it is nothing (RFC 9113 section 5.1).
      this.#target.table.requireUsed("WINDOW_UPDATE", id);
      return;
    }
    stream.credit += increment;
    if (stream.credit > MAX_WINDOW) throw flowControlError(id);
    this.#target.wantsToSend(stream);
  }

  #onRstStream(id: number, code: TunnelErrorCode, reason: string | undefined, now: number): void {
    const { table } = this.#target;
    const stream = table.get(id);
    if (stream === undefined) {
      table.requireUsed("RST_STREAM", id);
      table.forgetReset(id);
      return;
    }
    this.#countReset(now);
    this.#target.endedByReset(stream, new StreamResetError(code, "remote", reason));
  }

  #onSettings(settings: Settings, now: number): void {
    this.#countControl(now);
    if (!this.#settingsSeen && settings.version === undefined) throw protocolError("SETTINGS without a version");
    this.#settingsSeen = true;
    this.peerMaxStreams = settings.maxConcurrentStreams ?? this.peerMaxStreams;
    this.peerWindow = settings.initialWindowSize ?? this.peerWindow;
    // The peer's largest frame is not kept: what this side sends is never over the least that it may say.
    this.#target.reply(encodeSettingsAck());
  }

  #onSettingsAck(): void {
    if (!this.#target.windows.answered()) throw protocolError("SETTINGS ACK to no SETTINGS");
  }

  #onPing(opaque: bigint, now: number): void {
    this.#countControl(now);
    this.#target.reply(encodePing(opaque, true));
  }

  #onPingAck(opaque: bigint, now: number): void {
    const { keepalive, table } = this.#target;
    keepalive.answered(opaque, now);
    table.forgetResets(opaque);
    this.#target.pingAnswered();
  }

  #countReset(now: number): void {
    if (!this.#resets.take(now)) throw calm("streams are reset too often");
  }

  #countControl(now: number): void {
    if (!this.#controls.take(now)) throw calm("too many control frames");
  }
}

const protocolError = (message: string) => new RemoteProtocolError(TunnelErrorCode.PROTOCOL_ERROR, message);
const calm = (message: string) => new RemoteProtocolError(TunnelErrorCode.ENHANCE_YOUR_CALM, message);
