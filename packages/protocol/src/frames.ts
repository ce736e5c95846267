/**
 * The tunnel's frames: one WebSocket binary message is one frame, `type u8 · flags u8 · stream id u32 · payload`.
 * Names, numbers and meaning follow RFC 9113 (HTTP/2) wherever that document has the thing; the differences are in
 * docs/tunnel-protocol.md. Pure: bytes in, values out, and the only error that reading throws is
 * {@link RemoteProtocolError}. Longer than most files because both directions of one format belong side by side.
 */
import { Buffer, isUtf8 } from "node:buffer";

/** Frame types, RFC 9113 section 6. PRIORITY, PUSH_PROMISE and CONTINUATION have no use here and are not taken. */
export const FrameType = {
  DATA: 0x0,
  HEADERS: 0x1,
  RST_STREAM: 0x3,
  SETTINGS: 0x4,
  PING: 0x6,
  GOAWAY: 0x7,
  WINDOW_UPDATE: 0x8,
} as const;

/** Frame flags: END_STREAM for DATA and HEADERS, ACK for SETTINGS and PING. Other bits are ignored (RFC 9113 4.1). */
export const FrameFlag = { END_STREAM: 0x1, ACK: 0x1 } as const;

/** Why a stream or a tunnel ended, RFC 9113 section 7. A code that is not in this table is read as INTERNAL_ERROR. */
export const TunnelErrorCode = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;
export type TunnelErrorCode = (typeof TunnelErrorCode)[keyof typeof TunnelErrorCode];

/** SETTINGS identifiers, RFC 9113 section 6.5.2; VERSION is ours, from the range that no registry assigns. */
export const SettingId = {
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  VERSION: 0xff00,
} as const;

/** Bytes before the payload: type, flags, stream id. */
export const FRAME_HEAD_BYTES: number = 6;
/** Longest DATA payload that any endpoint may announce or send, bytes. */
export const MAX_DATA_BYTES: number = 64 * 1024;
/** Longest HEADERS payload (UTF-8 JSON), bytes. */
export const MAX_HEADERS_BYTES: number = 64 * 1024;
/** Longest reason of a RST_STREAM and debug text of a GOAWAY on the wire, bytes. */
export const MAX_REASON_BYTES: number = 1024;
/** Longest SETTINGS payload: eight settings of six bytes. */
export const MAX_SETTINGS_BYTES: number = 48;
/** Longest legal message. Both ends give this to the WebSocket layer as its limit (`maxPayload`). */
export const MAX_MESSAGE_BYTES: number = FRAME_HEAD_BYTES + MAX_DATA_BYTES;
/** Stream ids and windows are 31-bit numbers, RFC 9113 sections 5.1.1 and 6.9.1. */
export const MAX_STREAM_ID: number = 0x7fff_ffff;
export const MAX_WINDOW: number = 0x7fff_ffff;

/** What a HEADERS frame carries: one JSON object. It comes from the peer, so parse it before use. */
export type FrameHeaders = Readonly<Record<string, unknown>>;

/** What an endpoint announces about its own receiving side, RFC 9113 section 6.5. An absent member is not changed. */
export interface Settings {
  /** Revision of the protocol within the WebSocket subprotocol `hoopish.v1`. */
  readonly version?: number;
  /** Streams that the peer may have open at one time. */
  readonly maxConcurrentStreams?: number;
  /** Credit, in bytes, of every stream that is opened after this SETTINGS. */
  readonly initialWindowSize?: number;
  /** Longest DATA payload accepted, bytes. */
  readonly maxFrameSize?: number;
}

export type Frame =
  | { readonly type: typeof FrameType.DATA; streamId: number; endStream: boolean; payload: Buffer }
  | { readonly type: typeof FrameType.HEADERS; streamId: number; endStream: boolean; headers: FrameHeaders }
  | { readonly type: typeof FrameType.RST_STREAM; streamId: number; code: TunnelErrorCode; reason?: string }
  | { readonly type: typeof FrameType.SETTINGS; ack: boolean; settings: Settings }
  | { readonly type: typeof FrameType.PING; ack: boolean; opaque: bigint }
  | { readonly type: typeof FrameType.GOAWAY; lastStreamId: number; code: TunnelErrorCode; debug: string }
  | { readonly type: typeof FrameType.WINDOW_UPDATE; streamId: number; increment: number };

/** The peer broke the rules of the tunnel. It ends the tunnel: GOAWAY with `code`, then close. Never our own fault. */
export class RemoteProtocolError extends Error {
  override readonly name = "RemoteProtocolError";
  /** What the GOAWAY says. */
  readonly code: TunnelErrorCode;
  constructor(code: TunnelErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Writes the six bytes that stand before a payload. */
export function writeFrameHead(target: Uint8Array, at: number, type: number, flags: number, streamId: number): void {
  target[at] = type;
  target[at + 1] = flags;
  target[at + 2] = streamId >>> 24;
  target[at + 3] = streamId >>> 16;
  target[at + 4] = streamId >>> 8;
  target[at + 5] = streamId;
}

function frameOf(type: number, flags: number, streamId: number, payloadBytes: number): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + payloadBytes);
  writeFrameHead(frame, 0, type, flags, streamId);
  return frame;
}

/**
 * HEADERS. `headers` is anything that JSON.stringify makes an object of.
 * @throws {RangeError} over 64 KiB, {TypeError} not an object: the caller's faults, found before anything is sent.
 */
export function encodeHeaders(streamId: number, headers: object, endStream: boolean): Buffer {
  const text = JSON.stringify(headers);
  if (text === undefined || text.charCodeAt(0) !== 0x7b) throw new TypeError("headers are not a JSON object");
  const length = Buffer.byteLength(text);
  if (length > MAX_HEADERS_BYTES) throw new RangeError(`headers of ${length} bytes are over ${MAX_HEADERS_BYTES}`);
  const frame = frameOf(FrameType.HEADERS, endStream ? FrameFlag.END_STREAM : 0, streamId, length);
  frame.write(text, FRAME_HEAD_BYTES);
  return frame;
}

/** RST_STREAM. A reason too long for the wire is cut, since a reset must not fail. */
export function encodeRstStream(streamId: number, code: TunnelErrorCode, reason?: string): Buffer {
  const text = reason === undefined ? "" : fittingReason(reason);
  const frame = frameOf(FrameType.RST_STREAM, 0, streamId, 4 + Buffer.byteLength(text));
  frame.writeUInt32BE(code, FRAME_HEAD_BYTES);
  frame.write(text, FRAME_HEAD_BYTES + 4);
  return frame;
}

function fittingReason(reason: string): string {
  // One character is at most six bytes of JSON (a control character as \u0000), so the second cut always fits.
  const text = JSON.stringify({ reason: reason.toWellFormed() });
  if (Buffer.byteLength(text) <= MAX_REASON_BYTES) return text;
  return JSON.stringify({ reason: reason.slice(0, 160).toWellFormed() });
}

/** SETTINGS, with the members that are present. */
export function encodeSettings(settings: Settings): Buffer {
  const entries: [number, number | undefined][] = [
    [SettingId.VERSION, settings.version],
    [SettingId.MAX_CONCURRENT_STREAMS, settings.maxConcurrentStreams],
    [SettingId.INITIAL_WINDOW_SIZE, settings.initialWindowSize],
    [SettingId.MAX_FRAME_SIZE, settings.maxFrameSize],
  ];
  const present = entries.filter((entry): entry is [number, number] => entry[1] !== undefined);
  const frame = frameOf(FrameType.SETTINGS, 0, 0, present.length * 6);
  for (const [index, [id, value]] of present.entries()) {
    frame.writeUInt16BE(id, FRAME_HEAD_BYTES + index * 6);
    frame.writeUInt32BE(value, FRAME_HEAD_BYTES + index * 6 + 2);
  }
  return frame;
}

export function encodeSettingsAck(): Buffer {
  return frameOf(FrameType.SETTINGS, FrameFlag.ACK, 0, 0);
}

/** PING, or its answer, which repeats the eight bytes. */
export function encodePing(opaque: bigint, ack: boolean): Buffer {
  const frame = frameOf(FrameType.PING, ack ? FrameFlag.ACK : 0, 0, 8);
  frame.writeBigUInt64BE(opaque, FRAME_HEAD_BYTES);
  return frame;
}

/** GOAWAY. `lastStreamId`: the highest id of the peer's streams that this side has taken up; 0 if none. */
export function encodeGoaway(lastStreamId: number, code: TunnelErrorCode, debug: string): Buffer {
  const text = Buffer.from(debug.slice(0, MAX_REASON_BYTES / 3).toWellFormed());
  const frame = frameOf(FrameType.GOAWAY, 0, 0, 8 + text.length);
  frame.writeUInt32BE(lastStreamId, FRAME_HEAD_BYTES);
  frame.writeUInt32BE(code, FRAME_HEAD_BYTES + 4);
  frame.set(text, FRAME_HEAD_BYTES + 8);
  return frame;
}

/** WINDOW_UPDATE: `increment` more bytes may be sent on the stream, 1 to 2^31 - 1. */
export function encodeWindowUpdate(streamId: number, increment: number): Buffer {
  const frame = frameOf(FrameType.WINDOW_UPDATE, 0, streamId, 4);
  frame.writeUInt32BE(increment, FRAME_HEAD_BYTES);
  return frame;
}

/** Any frame as one message. The tunnel writes DATA without this copy; tests and tools use it. */
export function encodeFrame(frame: Frame): Buffer {
  switch (frame.type) {
    case FrameType.DATA: {
      if (frame.payload.length > MAX_DATA_BYTES) throw new RangeError("DATA over 64 KiB");
      const flags = frame.endStream ? FrameFlag.END_STREAM : 0;
      const message = frameOf(FrameType.DATA, flags, frame.streamId, frame.payload.length);
      message.set(frame.payload, FRAME_HEAD_BYTES);
      return message;
    }
    case FrameType.HEADERS:
      return encodeHeaders(frame.streamId, frame.headers, frame.endStream);
    case FrameType.RST_STREAM:
      return encodeRstStream(frame.streamId, frame.code, frame.reason);
    case FrameType.SETTINGS:
      return frame.ack ? encodeSettingsAck() : encodeSettings(frame.settings);
    case FrameType.PING:
      return encodePing(frame.opaque, frame.ack);
    case FrameType.GOAWAY:
      return encodeGoaway(frame.lastStreamId, frame.code, frame.debug);
    case FrameType.WINDOW_UPDATE:
      return encodeWindowUpdate(frame.streamId, frame.increment);
  }
}

const errorCodes: ReadonlySet<number> = new Set(Object.values(TunnelErrorCode));

/**
 * Reads one message. An unknown frame type is `undefined`, to be discarded (RFC 9113 section 5.5). A DATA payload is a
 * view of `message`, not a copy.
 * @throws {RemoteProtocolError} FRAME_SIZE_ERROR or PROTOCOL_ERROR; nothing else, whatever the bytes.
 */
export function decodeFrame(message: Buffer): Frame | undefined {
  if (message.length < FRAME_HEAD_BYTES) throw sizeError("a frame is at least 6 bytes long");
  const type = message[0] as number;
  const flags = message[1] as number;
  const streamId = message.readUInt32BE(2);
  const payload = message.subarray(FRAME_HEAD_BYTES);
  switch (type) {
    case FrameType.DATA:
      requireStream(streamId, "DATA");
      if (payload.length > MAX_DATA_BYTES) throw sizeError("DATA over 64 KiB");
      return { type, streamId, endStream: (flags & FrameFlag.END_STREAM) !== 0, payload };
    case FrameType.HEADERS:
      requireStream(streamId, "HEADERS");
      return { type, streamId, endStream: (flags & FrameFlag.END_STREAM) !== 0, headers: decodeHeaders(payload) };
    case FrameType.RST_STREAM:
      requireStream(streamId, "RST_STREAM");
      return decodeRstStream(streamId, payload);
    case FrameType.SETTINGS:
      requireTunnel(streamId, "SETTINGS");
      return decodeSettings((flags & FrameFlag.ACK) !== 0, payload);
    case FrameType.PING:
      requireTunnel(streamId, "PING");
      if (payload.length !== 8) throw sizeError("PING carries 8 bytes");
      return { type, ack: (flags & FrameFlag.ACK) !== 0, opaque: payload.readBigUInt64BE(0) };
    case FrameType.GOAWAY:
      requireTunnel(streamId, "GOAWAY");
      return decodeGoaway(payload);
    case FrameType.WINDOW_UPDATE: {
      // There is no window of the tunnel as a whole: one that a stalled stream could use up would stop its neighbours.
      requireStream(streamId, "WINDOW_UPDATE");
      if (payload.length !== 4) throw sizeError("WINDOW_UPDATE carries 4 bytes");
      const increment = payload.readUInt32BE(0);
      if (increment === 0 || increment > MAX_WINDOW) throw protocolError("WINDOW_UPDATE increment out of range");
      return { type, streamId, increment };
    }
    default:
      return undefined;
  }
}

function decodeHeaders(payload: Buffer): FrameHeaders {
  if (payload.length > MAX_HEADERS_BYTES) throw sizeError("HEADERS over 64 KiB");
  const value = parseJson(payload, "HEADERS");
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw protocolError("HEADERS is not a JSON object");
  }
  return value as FrameHeaders;
}

function decodeRstStream(streamId: number, payload: Buffer): Frame {
  if (payload.length < 4) throw sizeError("RST_STREAM carries at least 4 bytes");
  if (payload.length > 4 + MAX_REASON_BYTES) throw sizeError("RST_STREAM reason over 1 KiB");
  const code = readErrorCode(payload, 0);
  if (payload.length === 4) return { type: FrameType.RST_STREAM, streamId, code };
  const value = parseJson(payload.subarray(4), "RST_STREAM");
  const reason = typeof value === "object" && value !== null ? (value as { reason?: unknown }).reason : undefined;
  if (typeof reason !== "string") throw protocolError("RST_STREAM reason is not {reason: string}");
  return { type: FrameType.RST_STREAM, streamId, code, reason };
}

function decodeSettings(ack: boolean, payload: Buffer): Frame {
  if (ack && payload.length !== 0) throw sizeError("SETTINGS ACK carries nothing");
  if (payload.length % 6 !== 0) throw sizeError("SETTINGS is a list of 6-byte entries");
  if (payload.length > MAX_SETTINGS_BYTES) throw sizeError("SETTINGS over 48 bytes");
  const settings: { -readonly [K in keyof Settings]: Settings[K] } = {};
  for (let at = 0; at < payload.length; at += 6) {
    const value = payload.readUInt32BE(at + 2);
    switch (payload.readUInt16BE(at)) {
      case SettingId.VERSION:
        if (value === 0) throw protocolError("VERSION starts at 1");
        settings.version = value;
        break;
      case SettingId.MAX_CONCURRENT_STREAMS:
        settings.maxConcurrentStreams = value;
        break;
      case SettingId.INITIAL_WINDOW_SIZE:
        if (value > MAX_WINDOW) {
          throw new RemoteProtocolError(TunnelErrorCode.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE out of range");
        }
        settings.initialWindowSize = value;
        break;
      case SettingId.MAX_FRAME_SIZE:
        // The lower bound is RFC 9113's: a smaller frame would only burn the sender's time.
        if (value < 16_384 || value > MAX_DATA_BYTES) throw protocolError("MAX_FRAME_SIZE out of range");
        settings.maxFrameSize = value;
        break;
      default: // Unknown settings are ignored, RFC 9113 section 6.5.2.
    }
  }
  return { type: FrameType.SETTINGS, ack, settings };
}

function decodeGoaway(payload: Buffer): Frame {
  if (payload.length < 8) throw sizeError("GOAWAY carries at least 8 bytes");
  if (payload.length > 8 + MAX_REASON_BYTES) throw sizeError("GOAWAY debug text over 1 KiB");
  const lastStreamId = payload.readUInt32BE(0);
  if (lastStreamId > MAX_STREAM_ID) throw protocolError("GOAWAY last stream id out of range");
  const debug = utf8(payload.subarray(8), "GOAWAY");
  return { type: FrameType.GOAWAY, lastStreamId, code: readErrorCode(payload, 4), debug };
}

function readErrorCode(payload: Buffer, at: number): TunnelErrorCode {
  const code = payload.readUInt32BE(at);
  return errorCodes.has(code) ? (code as TunnelErrorCode) : TunnelErrorCode.INTERNAL_ERROR;
}

function parseJson(bytes: Buffer, what: string): unknown {
  const text = utf8(bytes, what);
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, which is the peer's, so it does not go into our logs.
    throw protocolError(`${what} is not JSON`);
  }
}

function utf8(bytes: Buffer, what: string): string {
  if (!isUtf8(bytes)) throw protocolError(`${what} is not UTF-8`);
  return bytes.toString("utf8");
}

function requireStream(streamId: number, what: string): void {
  if (streamId === 0 || streamId > MAX_STREAM_ID) throw protocolError(`${what} on a stream id out of range`);
}

function requireTunnel(streamId: number, what: string): void {
  if (streamId !== 0) throw protocolError(`${what} on a stream id that is not 0`);
}

const sizeError = (message: string) => new RemoteProtocolError(TunnelErrorCode.FRAME_SIZE_ERROR, message);
const protocolError = (message: string) => new RemoteProtocolError(TunnelErrorCode.PROTOCOL_ERROR, message);
