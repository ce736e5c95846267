import { request as httpRequest, type IncomingMessage } from "node:http";
import { type CallId, HoopishError, isCallId } from "@hoopish/protocol";
import { toDuplex } from "@hoopish/tunnel";
import type { OpenSession } from "../connect/session.ts";

/** A request as it was recorded: its headers are in no record. */
export interface RecordedRequest {
  readonly method: string;
  /** Path and query, as they were sent. */
  readonly target: string;
  readonly body: Buffer;
}

export interface Answer {
  readonly status: number;
  /** What the log calls it. */
  readonly call: CallId;
  readonly body: Buffer;
  /** The whole answer came. */
  readonly complete: boolean;
}

export const MAX_BODY_BYTES: number = 64 * 1024 * 1024;

/**
 * Sends a request through a session, as any program does through the local port: method, target and body byte for byte.
 * Of headers it has those that HTTP needs, and the type of a body that is JSON, without which many model servers refuse.
 * @throws HoopishError unreachable: there was no answer; the signal's reason
 */
export async function sendAgain(session: OpenSession, sent: RecordedRequest, signal: AbortSignal): Promise<Answer> {
  const stream = session.tunnel.open({ ":kind": "tcp", session: session.info.id });
  const socket = toDuplex(stream);
  try {
    const response = await headOf(sent, socket, signal);
    const call = response.headers["hoopish-call"];
    if (!isCallId(call)) throw new HoopishError("internal", "the server's answer does not say which call it is of");
    return { status: response.statusCode ?? 0, call, ...(await bodyOf(response, signal)) };
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof HoopishError) throw cause;
    throw new HoopishError("unreachable", "the request was sent again, and no answer came", {
      hint: "hoopish audit list shows whether it became a call",
      cause,
    });
  } finally {
    socket.destroy();
  }
}

function headOf(
  { method, target, body }: RecordedRequest,
  socket: ReturnType<typeof toDuplex>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const headers = {
    // The server lets in what names the local port, as programs do.
    host: "127.0.0.1",
    ...(body.length === 0 ? {} : { "content-length": body.length }),
    ...(isJson(body) ? { "content-type": "application/json" } : {}),
  };
  return new Promise((resolve, reject) => {
    const request = httpRequest({ method, path: target, headers, signal, createConnection: () => socket }, resolve);
    request.on("error", reject);
    request.end(body.length === 0 ? undefined : body);
  });
}

async function bodyOf(response: IncomingMessage, signal: AbortSignal): Promise<Pick<Answer, "body" | "complete">> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > MAX_BODY_BYTES) break;
    }
  } catch {
    // Cut off on the way: what came is compared all the same.
    signal.throwIfAborted();
  }
  return { body: Buffer.concat(chunks), complete: response.complete };
}

function isJson(body: Buffer): boolean {
  if (body.length === 0) return false;
  try {
    JSON.parse(body.toString("utf8"));
    return true;
  } catch {
    return false;
  }
}
