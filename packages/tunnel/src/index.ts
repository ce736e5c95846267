export type { OpenOptions, StreamHandler, StreamState, TunnelStream } from "./api.ts";
export { type DialOptions, dialTunnel } from "./dial.ts";
export { TunnelDialError, type TunnelDialErrorCode } from "./dial-error.ts";
export { type DuplexOptions, toDuplex } from "./duplex.ts";
export {
  errorCodeName,
  type ResetOrigin,
  StreamResetError,
  TunnelOpenError,
  type TunnelOpenErrorCode,
} from "./errors.ts";
export { SUBPROTOCOL, type TunnelLimits } from "./limits.ts";
export { proxyFor } from "./proxy.ts";
export { type Reconnecting, type ReconnectOptions, type ReconnectState, reconnecting } from "./reconnect.ts";
export { relaySocket } from "./relay-socket.ts";
export { acceptTunnel, type Tunnel, type TunnelCloseInfo, TunnelDeadError, type TunnelOptions } from "./tunnel.ts";
export {
  attachUpgrade,
  type UpgradeDecision,
  type UpgradeHandle,
  type UpgradeOptions,
  type UpgradeRejection,
  type UpgradeRoute,
} from "./upgrade.ts";
