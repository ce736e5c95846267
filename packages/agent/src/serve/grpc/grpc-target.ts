import {
  type ClientHttp2Session,
  type ClientSessionOptions,
  connect,
  type SecureClientSessionOptions,
} from "node:http2";
import type { ConnectionConfig } from "../../config/config.ts";
import { type Credential, createCredential } from "../../credential/credential.ts";
import type { TargetState } from "../carried.ts";
import { readTls } from "../connector.ts";

/** Windows of a stream and of a connection: so much may be under way without an answer. Bytes. */
const STREAM_WINDOW = 1_048_576;
const SESSION_WINDOW = 16 * 1_048_576;
/** What one connection may hold in nghttp2, MB: Node's own 10 would refuse a few large tensors side by side. */
const SESSION_MEMORY_MB = 512;
/** Without a word for so long a connection is asked whether it lives, and has so long to say so. */
const PING_MS = 30_000;
const PONG_MS = 10_000;
/** Calls on one connection, whatever the model server allows: then another connection shares the load. */
const MAX_STREAMS = 100;

/** A gRPC server with the HTTP/2 connections to it. */
export interface GrpcTarget extends TargetState {
  /** A connection that takes one more call. @throws when its certificate files cannot be read */
  session(): Connection;
}

export interface Connection {
  readonly session: ClientHttp2Session;
  calls: number;
}

export function createGrpcTarget(
  config: ConnectionConfig,
  env: Readonly<Record<string, string | undefined>>,
): GrpcTarget {
  const credential: Credential | undefined = config.credential && createCredential(config.credential, env);
  const open = new Set<Connection>();
  return {
    config,
    credential,
    calls: 0,
    session() {
      for (const connection of open) if (connection.calls < limitOf(connection.session)) return connection;
      return dial(config, open);
    },
    close() {
      for (const { session } of open) session.destroy();
      return Promise.resolve();
    },
  };
}

function limitOf({ remoteSettings }: ClientHttp2Session): number {
  return Math.min(MAX_STREAMS, remoteSettings?.maxConcurrentStreams ?? MAX_STREAMS);
}

function dial(config: ConnectionConfig, open: Set<Connection>): Connection {
  const { target, tls, connectTimeoutMs } = config;
  const options: ClientSessionOptions | SecureClientSessionOptions = {
    maxSessionMemory: SESSION_MEMORY_MB,
    settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
    ...(target.secure && tls !== undefined ? readTls(tls) : {}),
  };
  const session = connect(target.origin, options);
  const connection: Connection = { session, calls: 0 };
  open.add(connection);
  const late = setTimeout(() => session.destroy(timeout()), connectTimeoutMs);
  let pings: NodeJS.Timeout | undefined;
  session.once("connect", () => {
    clearTimeout(late);
    session.setLocalWindowSize(SESSION_WINDOW);
    pings = setInterval(() => ping(session), PING_MS).unref();
  });
  // New calls go elsewhere; what runs ends as the model server lets it.
  session.on("goaway", () => open.delete(connection));
  session.on("error", () => open.delete(connection));
  session.on("close", () => {
    clearTimeout(late);
    clearInterval(pings);
    open.delete(connection);
  });
  return connection;
}

function ping(session: ClientHttp2Session): void {
  if (session.closed || session.destroyed) return;
  const late = setTimeout(() => session.destroy(timeout()), PONG_MS);
  session.ping(() => clearTimeout(late));
}

const timeout = (): Error => Object.assign(new Error("the model server does not answer"), { code: "ETIMEDOUT" });
