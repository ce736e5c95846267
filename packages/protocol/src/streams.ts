import { z } from "zod";
import { type ErrorCode, isErrorCode } from "./errors.ts";
import { type ApprovalId, type CallId, isApprovalId, isCallId, isSessionId, type SessionId } from "./ids.ts";

/**
 * What the opening HEADERS of a tunnel stream say. `:kind` names the stream; everything else depends on it.
 *
 * From the CLI: `session.open` (stays open for the session's life; the answer's DATA are events, one JSON a line),
 * `tcp` (one local TCP connection's bytes), `auth.renew`. From the server to an agent: `http` (an exchange of HTTP or gRPC),
 * `websocket`, `postgres`, `postgres.cancel`. From an agent: `agent.hello`.
 */

/** WebSocket paths; both speak the subprotocol `hoopish.v1`. */
export const CLIENT_TUNNEL_PATH = "/v1/tunnel";
export const AGENT_TUNNEL_PATH = "/v1/agent";

export type Protocol = "http" | "grpc" | "postgres";
export type Api = "openai" | "oip" | "tfserving" | "triton" | "ollama" | "mlflow" | "generic";
export const PROTOCOLS: readonly Protocol[] = ["http", "grpc", "postgres"];
export const APIS: readonly Api[] = ["openai", "oip", "tfserving", "triton", "ollama", "mlflow", "generic"];

const shortText = z.string().min(1).max(512);
const sessionId = z.custom<SessionId>(isSessionId, "not a session id");
const callId = z.custom<CallId>(isCallId, "not a call id");
const errorCode = z.custom<ErrorCode>(isErrorCode, "not an error code");
const count = z.number().int().nonnegative();

/** An error as it crosses a tunnel. */
export interface StreamError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
}
const streamError: z.ZodType<StreamError> = z.object({
  code: errorCode,
  message: z.string(),
  hint: z.string().exactOptional(),
});

/** CLI → server: opens a session. The stream lives as long as the session does; its end closes the session. */
export interface SessionOpen {
  readonly ":kind": "session.open";
  readonly connection: string;
  readonly reason?: string;
  readonly ticket?: string;
  /** The client machine's own name for itself: a statement, not a proof. */
  readonly host: string;
  /** Program and version, e.g. `hoopish/0.1.0`. */
  readonly client: string;
  /** The session that this one continues after a broken tunnel. */
  readonly previous?: SessionId;
  /** The client shows each call as it ends: send `call` events. They cost as much as a small call, so they are asked for. */
  readonly calls?: boolean;
}
export const sessionOpenSchema: z.ZodType<SessionOpen> = z.object({
  ":kind": z.literal("session.open"),
  connection: z.string().min(1).max(128),
  reason: shortText.exactOptional(),
  ticket: shortText.exactOptional(),
  host: shortText,
  client: shortText,
  previous: sessionId.exactOptional(),
  calls: z.boolean().exactOptional(),
});

export interface SessionInfo {
  readonly id: SessionId;
  readonly connection: string;
  readonly protocol: Protocol;
  readonly api: Api;
  /** The rule that granted it. */
  readonly rule: string;
  /** RFC 3339; the session ends then whatever happens. */
  readonly expiresAt: string;
}
export type SessionReply = { readonly session: SessionInfo } | { readonly error: StreamError };
export const sessionReplySchema: z.ZodType<SessionReply> = z.union([
  z.object({
    session: z.object({
      id: sessionId,
      connection: z.string(),
      protocol: z.enum(["http", "grpc", "postgres"]),
      api: z.enum(["openai", "oip", "tfserving", "triton", "ollama", "mlflow", "generic"]),
      rule: z.string(),
      expiresAt: z.string(),
    }),
  }),
  z.object({ error: streamError }),
]);

/** CLI → server: one local TCP connection's bytes, both ways. No HEADERS come back. */
export interface TcpStream {
  readonly ":kind": "tcp";
  readonly session: SessionId;
}
export const tcpStreamSchema: z.ZodType<TcpStream> = z.object({ ":kind": z.literal("tcp"), session: sessionId });

/** CLI → server, before the token of the tunnel expires: a newer token of the same subject and issuer. */
export interface AuthRenew {
  readonly ":kind": "auth.renew";
  readonly token: string;
}
export const authRenewSchema: z.ZodType<AuthRenew> = z.object({
  ":kind": z.literal("auth.renew"),
  token: z.string().min(1).max(32_768),
});
export type AuthRenewReply = { readonly expiresAt: string } | { readonly error: StreamError };
export const authRenewReplySchema: z.ZodType<AuthRenewReply> = z.union([
  z.object({ expiresAt: z.string() }),
  z.object({ error: streamError }),
]);

/** A call of the session has ended; sent to the CLI's live view. */
export interface CallEvent {
  readonly event: "call";
  readonly call: CallId;
  readonly time: string;
  readonly method: string;
  readonly path: string;
  /** Operation kind. */
  readonly kind: string;
  readonly verdict: "allow" | "hold" | "block";
  readonly status: number;
  readonly durationMs: number;
  readonly bytes: { readonly request: number; readonly delivered: number };
  /** Values that were masked, both ways; absent where none was. */
  readonly masked?: number;
  readonly outcome: string;
  readonly code?: ErrorCode;
}
/** A call of the session waits for a human; sent to every client. `waitMs`: how long its connection is held open. */
export interface WaitingEvent {
  readonly event: "waiting_approval";
  readonly call: CallId;
  readonly approval: ApprovalId;
  readonly rule: string;
  readonly expiresAt: string;
  readonly waitMs: number;
}
/** One line of a session's event stream, server → CLI. */
export type SessionEvent =
  | CallEvent
  | WaitingEvent
  | { readonly event: "revoked"; readonly code: ErrorCode; readonly reason: string }
  | { readonly event: "draining" };
export const sessionEventSchema: z.ZodType<SessionEvent> = z.discriminatedUnion("event", [
  z.object({
    event: z.literal("call"),
    call: callId,
    time: z.string(),
    method: z.string(),
    path: z.string(),
    kind: z.string(),
    verdict: z.enum(["allow", "hold", "block"]),
    status: count,
    durationMs: count,
    bytes: z.object({ request: count, delivered: count }),
    masked: count.exactOptional(),
    outcome: z.string(),
    code: errorCode.exactOptional(),
  }),
  z.object({
    event: z.literal("waiting_approval"),
    call: callId,
    approval: z.custom<ApprovalId>(isApprovalId, "not an approval id"),
    rule: z.string(),
    expiresAt: z.string(),
    waitMs: count,
  }),
  z.object({ event: z.literal("revoked"), code: errorCode, reason: z.string() }),
  z.object({ event: z.literal("draining") }),
]);

/** Header fields as name, value, name, value …: repeated names and their order survive. Names in lower case. */
export type HeaderList = readonly string[];
const headerList: z.ZodType<HeaderList> = z
  .array(z.string())
  .refine((list) => list.length % 2 === 0, "names and values alternate");

/** Server → agent. The body follows as DATA; its trailers as HEADERS with END_STREAM: `{trailers}`. */
export interface HttpCall {
  readonly ":kind": "http";
  readonly call: CallId;
  readonly connection: string;
  readonly method: string;
  /** Origin form: path and query. */
  readonly path: string;
  readonly headers: HeaderList;
  /** The body's bytes where the server knows them; absent: unknown, chunked. 0: no body. */
  readonly length?: number;
  /** The agent gives up when the whole call has taken this long. */
  readonly timeoutMs: number;
}
export const httpCallSchema: z.ZodType<HttpCall> = z.object({
  ":kind": z.literal("http"),
  call: callId,
  connection: z.string(),
  method: z.string(),
  path: z.string(),
  headers: headerList,
  length: count.exactOptional(),
  timeoutMs: count,
});

/** Agent → server: the answer's head, or (with END_STREAM) why there is none. */
export type HttpAnswer = { readonly status: number; readonly headers: HeaderList } | { readonly error: StreamError };
export const httpAnswerSchema: z.ZodType<HttpAnswer> = z.union([
  // 101: the WebSocket that was asked for is open.
  z.object({ status: z.union([z.literal(101), z.number().int().min(200).max(599)]), headers: headerList }),
  z.object({ error: streamError }),
]);
export interface Trailers {
  readonly trailers: HeaderList;
}
export const trailersSchema: z.ZodType<Trailers> = z.object({ trailers: headerList });

/**
 * Server → agent: opens a WebSocket (RFC 6455) to the model server. The answer is an `HttpAnswer`: status 101 with the fields
 * of the handshake that concern the client (`sec-websocket-protocol`), or any other status with a body, which is the refusal.
 * After a 101 the DATA of both directions are messages: kind u8 (1 text, 2 binary, 8 close: RFC 6455's opcodes), length u32
 * big-endian, then so many bytes. A close's bytes are its code and reason as RFC 6455 has them. Pings are each hop's own.
 */
export interface WebSocketOpen {
  readonly ":kind": "websocket";
  readonly call: CallId;
  readonly connection: string;
  /** Origin form: path and query. */
  readonly path: string;
  readonly headers: HeaderList;
  /** What the client offers of `sec-websocket-protocol`, in its order. */
  readonly protocols: readonly string[];
  /** One message, at most, bytes. */
  readonly maxMessageBytes: number;
  /** The agent gives up when the handshake has taken this long. */
  readonly timeoutMs: number;
}
export const webSocketOpenSchema: z.ZodType<WebSocketOpen> = z.object({
  ":kind": z.literal("websocket"),
  call: callId,
  connection: z.string(),
  path: z.string(),
  headers: headerList,
  protocols: z.array(z.string()),
  maxMessageBytes: count,
  timeoutMs: count,
});

/**
 * Server → agent: one connection to a PostgreSQL server, made and signed in by the agent. After `PostgresAnswer` the DATA of
 * both directions are messages of protocol 3.0 as they stand on the wire, beginning after the first ReadyForQuery.
 */
export interface PostgresOpen {
  readonly ":kind": "postgres";
  readonly connection: string;
  /** Names this connection for `postgres.cancel`; random, known to server and agent alone. */
  readonly link: string;
  /** What the client asks for; an agent whose target names a database takes that one. */
  readonly database?: string;
  /** Run-time parameters for the start-up message: name, value, name, value … */
  readonly parameters: HeaderList;
  /** For the connection and the sign-in. */
  readonly timeoutMs: number;
}
export const postgresOpenSchema: z.ZodType<PostgresOpen> = z.object({
  ":kind": z.literal("postgres"),
  connection: z.string(),
  link: z.string().min(8).max(64),
  database: z.string().max(128).exactOptional(),
  parameters: headerList,
  timeoutMs: count,
});
/** Agent → server: the run-time parameters that the database told, or (with END_STREAM) why there is no connection. */
export type PostgresAnswer =
  | { readonly parameters: HeaderList; readonly database: string }
  | { readonly error: StreamError; readonly sqlstate?: string };
export const postgresAnswerSchema: z.ZodType<PostgresAnswer> = z.union([
  z.object({ parameters: headerList, database: z.string() }),
  z.object({ error: streamError, sqlstate: z.string().length(5).exactOptional() }),
]);

/** Server → agent: asks the database to cancel what the connection of this name does. No answer but the stream's end. */
export interface PostgresCancel {
  readonly ":kind": "postgres.cancel";
  readonly connection: string;
  readonly link: string;
}
export const postgresCancelSchema: z.ZodType<PostgresCancel> = z.object({
  ":kind": z.literal("postgres.cancel"),
  connection: z.string(),
  link: z.string().min(8).max(64),
});

/** Agent → server, first stream after connecting: what it serves. Addresses and credentials are never said. */
export interface AgentHello {
  readonly ":kind": "agent.hello";
  readonly version: string;
  readonly connections: readonly { readonly name: string; readonly protocol: Protocol }[];
}
export const agentHelloSchema: z.ZodType<AgentHello> = z.object({
  ":kind": z.literal("agent.hello"),
  version: shortText,
  connections: z.array(z.object({ name: z.string().min(1).max(128), protocol: z.enum(["http", "grpc", "postgres"]) })),
});
