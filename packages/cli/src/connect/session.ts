import type { Buffer } from "node:buffer";
import { StringDecoder } from "node:string_decoder";
import {
  type ErrorCode,
  HoopishError,
  type SessionEvent,
  type SessionInfo,
  type SessionOpen,
  sessionEventSchema,
  sessionReplySchema,
  TunnelErrorCode,
} from "@hoopish/protocol";
import type { StreamResetError, Tunnel, TunnelStream } from "@hoopish/tunnel";

/** How long the server may take to decide whether a session opens. */
const OPEN_MS = 20_000;
const MAX_LINE_CHARACTERS = 64 * 1024;

/** Why a session is over. `lost`: the tunnel broke or the server stops; it may be opened again. */
export type SessionEnd =
  | { readonly kind: "lost"; readonly why: string }
  | { readonly kind: "closed"; readonly code: ErrorCode; readonly reason: string };

/** An open session. Its stream lives as long as it does. */
export interface OpenSession {
  readonly info: SessionInfo;
  readonly tunnel: Tunnel;
  /** Settles when the session is over; never rejects. */
  readonly ended: Promise<SessionEnd>;
  /** Ends it from this side: the server closes the session and then its side of the stream. */
  close(): void;
}

/**
 * Opens a session on a tunnel.
 * @throws HoopishError the server's refusal
 * @throws TunnelOpenError | StreamResetError the tunnel was not up to it: another may be
 */
export function openSession(
  tunnel: Tunnel,
  request: SessionOpen,
  onEvent: (info: SessionInfo, event: SessionEvent) => void,
): Promise<OpenSession> {
  return new Promise((resolve, reject) => {
    let finish: (end: SessionEnd) => void = () => {};
    const ended = new Promise<SessionEnd>((settle) => {
      finish = settle;
    });
    const timer = setTimeout(() => {
      stream.reset(TunnelErrorCode.CANCEL, "no answer");
      reject(new HoopishError("unreachable", "the server did not answer the request for a session", { hint: "again" }));
    }, OPEN_MS);
    ended.then(() => clearTimeout(timer));

    let info: SessionInfo | undefined;
    let revoked: SessionEnd | undefined;
    let draining = false;
    const lines = new EventLines((event) => {
      if (event.event === "revoked") revoked = { kind: "closed", code: event.code, reason: event.reason };
      if (event.event === "draining") draining = true;
      // Here and not by the caller: the first event may come in the same turn as the answer to the opening.
      if (info !== undefined) onEvent(info, event);
    });
    const stream: TunnelStream = tunnel.open(request, {
      onHeaders: (headers) => {
        clearTimeout(timer);
        const reply = sessionReplySchema.safeParse(headers);
        if (!reply.success) {
          stream.reset(TunnelErrorCode.PROTOCOL_ERROR);
          return reject(new HoopishError("internal", "the server's answer to session.open cannot be read"));
        }
        if ("error" in reply.data) return reject(toError(reply.data.error));
        info = reply.data.session;
        resolve({ info, tunnel, ended, close: () => stream.end() });
      },
      onData: (chunk) => {
        lines.push(chunk);
        stream.consumed(chunk.length);
      },
      onEnd: () => {
        stream.end();
        // A server that stops ends its sessions: that is no verdict on ours.
        const passing = draining || tunnel.state !== "open";
        finish(revoked ?? (passing ? { kind: "lost", why: "the server is stopping" } : CLOSED));
        reject(new HoopishError("internal", "the server ended the session before it began"));
      },
      onReset: (error: StreamResetError) => {
        finish(revoked ?? { kind: "lost", why: error.message });
        reject(error);
      },
    });
  });
}

const CLOSED: SessionEnd = { kind: "closed", code: "session_closed", reason: "the server closed the session" };

function toError({ code, message, hint }: { code: ErrorCode; message: string; hint?: string }): HoopishError {
  return new HoopishError(code, message, hint === undefined ? {} : { hint });
}

/** One JSON object a line. A line that this version does not know is passed over: a newer server may say more. */
class EventLines {
  readonly #decoder = new StringDecoder("utf8");
  readonly #emit: (event: SessionEvent) => void;
  #text = "";

  constructor(emit: (event: SessionEvent) => void) {
    this.#emit = emit;
  }

  push(chunk: Buffer): void {
    this.#text += this.#decoder.write(chunk);
    for (let end = this.#text.indexOf("\n"); end !== -1; end = this.#text.indexOf("\n")) {
      this.#line(this.#text.slice(0, end));
      this.#text = this.#text.slice(end + 1);
    }
    if (this.#text.length > MAX_LINE_CHARACTERS) this.#text = "";
  }

  #line(text: string): void {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return;
    }
    const event = sessionEventSchema.safeParse(value);
    if (event.success) this.#emit(event.data);
  }
}
