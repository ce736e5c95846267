/** Every number of the tunnel in one place. Sizes in bytes, times in milliseconds; docs/tunnel-protocol.md says why. */

/** Revision of the protocol within `hoopish.v1`, announced in SETTINGS. */
export const PROTOCOL_VERSION = 1;
/** The WebSocket subprotocol that both ends must name. */
export const SUBPROTOCOL = "hoopish.v1";

/** Credit of a stream before the peer's first SETTINGS is known, and what an endpoint announces as a rule. */
export const DEFAULT_INITIAL_WINDOW: number = 256 * 1024;
/** Streams the peer may have open before its first SETTINGS is known. */
export const DEFAULT_MAX_STREAMS = 128;
/** DATA payload that this implementation sends: what every peer must take, and larger is not quicker (measured). */
export const DATA_FRAME_BYTES: number = 16 * 1024;
/** HEADERS without END_STREAM in one direction of a stream. */
export const MAX_INTERIM_HEADERS = 16;
/** A write over this asks the caller to wait; onDrain comes at half. */
export const QUEUE_HIGH_BYTES: number = 64 * 1024;
/** Control frames waiting to be sent: past this the peer makes us answer more than it reads. */
export const MAX_CONTROL_FRAMES = 8192;

/** What a tunnel allows its peer. The peer is not trusted: each is enforced on this side. */
export interface TunnelLimits {
  /** Streams that the peer may have open at one time; one more is refused (REFUSED_STREAM). */
  readonly maxStreams: number;
  /** Opens by the peer, a token bucket; past it the tunnel ends with ENHANCE_YOUR_CALM. */
  readonly opensPerSecond: number;
  readonly opensBurst: number;
  /** Resets by the peer and resets that it provoked (rapid reset, CVE-2023-44487), a token bucket like the former. */
  readonly resetsPerSecond: number;
  readonly resetsBurst: number;
  /** PING, SETTINGS and unknown frames by the peer, a token bucket. */
  readonly controlPerSecond: number;
  readonly controlBurst: number;
  /** Credit of a new stream. */
  readonly initialWindow: number;
  /** Credit of a new stream while the tunnel's total is near its cap. */
  readonly minWindow: number;
  /** What a stream's window may grow to. */
  readonly maxWindow: number;
  /** Sum of the windows of all streams; past it new streams get `minWindow`, or are refused. */
  readonly tunnelWindow: number;
}

/** The server's side: its peers are many laptops and agents, each opens a stream a TCP connection. */
export const ACCEPTOR_LIMITS: TunnelLimits = {
  maxStreams: 1024,
  opensPerSecond: 5_000,
  opensBurst: 10_000,
  resetsPerSecond: 500,
  resetsBurst: 4_096,
  controlPerSecond: 100,
  controlBurst: 1_000,
  initialWindow: DEFAULT_INITIAL_WINDOW,
  minWindow: 16 * 1024,
  maxWindow: 4 * 1024 * 1024,
  tunnelWindow: 64 * 1024 * 1024,
};

/** The agent's and the CLI's side: its peer is the server that it chose, which opens a stream a call. */
export const DIALLER_LIMITS: TunnelLimits = {
  ...ACCEPTOR_LIMITS,
  opensPerSecond: 100_000,
  opensBurst: 100_000,
  resetsPerSecond: 5_000,
  resetsBurst: 10_000,
};
