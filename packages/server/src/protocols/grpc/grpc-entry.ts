import {
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Duplex } from "node:stream";
import { HoopishError } from "@hoopish/protocol";
import type { GrpcSchema } from "../../protobuf/schema.ts";
import { refuseUnparsed, relayCall } from "../../relay/call.ts";
import type { RelayPorts } from "../../relay/ports.ts";
import type { Session } from "../../sessions/session.ts";
import { cutWithSession, type StreamEntry } from "../line.ts";
import { GrpcAnswerSink } from "./grpc-answer.ts";
import { GrpcBody } from "./grpc-body.ts";
import { GrpcExchange } from "./grpc-exchange.ts";

/** Metadata of one call, at most. */
const MAX_HEADER_BYTES = 32_768;
/** Calls of one client connection at a time; more wait at the client. */
const MAX_STREAMS = 256;
const WINDOW_BYTES = 1_048_576;
/** Streams that a client may reset at once, and a second from then on: more is an attack (CVE-2023-44487). */
const RESET_BURST = 1_000;
const RESETS_A_SECOND = 100;

/**
 * gRPC over HTTP/2 without TLS ("prior knowledge") on tunnel streams, with Node's own implementation (nghttp2).
 * @param schemaOf what is known of a connection's services
 */
export function createGrpcEntry(
  ports: RelayPorts,
  schemaOf: (connection: string) => GrpcSchema,
  report: (error: unknown) => void,
): StreamEntry {
  const open = new Set<ServerHttp2Session>();
  return {
    accept(stream, session) {
      stream.on("error", () => stream.destroy());
      const http2 = speak(stream);
      open.add(http2);
      http2.on("error", () => http2.destroy());
      http2.on("close", () => {
        open.delete(http2);
        stream.destroy();
      });
      http2.on("stream", (call, headers, _flags, raw) => {
        call.on("error", () => undefined);
        serve(session, call, headers, raw as readonly string[]).catch(report);
      });
      cutWithSession(stream, session);
    },
    drain() {
      // GOAWAY: what runs goes on.
      for (const http2 of open) if (!http2.closed) http2.close();
    },
    close() {
      for (const http2 of open) http2.destroy();
    },
  };

  function serve(
    session: Session,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    raw: readonly string[],
  ): Promise<void> {
    const schema = schemaOf(session.connection.name);
    const path = String(headers[":path"] ?? "");
    const streams = schema.method(path)?.clientStreaming ?? true;
    const exchange = new GrpcExchange(
      session,
      schema,
      { path, headers: metadata(raw) },
      new GrpcBody(stream, streams, session.connection.limits.requestBytes),
      new GrpcAnswerSink(stream),
    );
    const problem = headProblem(headers);
    return problem === undefined
      ? relayCall(session, exchange, ports)
      : refuseUnparsed(session, exchange, problem, ports);
  }
}

function speak(stream: Duplex): ServerHttp2Session {
  return performServerHandshake(stream, {
    maxHeaderListPairs: 128,
    maxSendHeaderBlockLength: 2 * MAX_HEADER_BYTES,
    maxSessionInvalidFrames: 100,
    streamResetBurst: RESET_BURST,
    streamResetRate: RESETS_A_SECOND,
    settings: {
      enablePush: false,
      maxConcurrentStreams: MAX_STREAMS,
      maxHeaderListSize: MAX_HEADER_BYTES,
      initialWindowSize: WINDOW_BYTES,
    },
  });
}

const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i;

/** What makes of a request of HTTP/2 none of gRPC. */
function headProblem(headers: IncomingHttpHeaders): HoopishError | undefined {
  if (headers[":method"] !== "POST") return new HoopishError("bad_request", "gRPC's calls are POST");
  if (!/^application\/grpc(?:$|[+;])/.test(headers["content-type"] ?? "")) {
    return new HoopishError("bad_request", "the content type is not gRPC's");
  }
  if (headers["content-length"] !== undefined && !/^\d{1,12}$/.test(headers["content-length"])) {
    return new HoopishError("bad_request", "the content length is none");
  }
  const authority = headers[":authority"] ?? headers.host ?? "";
  if (!LOOPBACK.test(authority)) {
    return new HoopishError("access_denied", "the call was not made to the local port by its name");
  }
  if (headers[":path"] === undefined || !/^\/[\w.]+\/\w+$/.test(headers[":path"])) {
    return new HoopishError("bad_request", "the path is not /package.Service/Method");
  }
  return undefined;
}

/** Name, value, name, value …, without what HTTP/2 itself needs. */
function metadata(raw: readonly string[]): string[] {
  const list: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    if (!name.startsWith(":") && name !== "host") list.push(name, raw[i + 1] as string);
  }
  return list;
}
