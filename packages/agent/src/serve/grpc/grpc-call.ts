import { type ClientHttp2Stream, constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { type FrameHeaders, type HttpCall, type StreamError, TunnelErrorCode } from "@hoopish/protocol";
import type { StreamHandler, StreamResetError, TunnelStream } from "@hoopish/tunnel";
import type { AppliedCredential } from "../../credential/credential.ts";
import { CredentialError } from "../../credential/secret-source.ts";
import { codeOf, reasonOf } from "../../error-code.ts";
import type { Carried, CarriedEvents, Outcome } from "../carried.ts";
import { answerHeaders, requestHeaders } from "../headers.ts";
import { upstreamError } from "../upstream-error.ts";
import type { Connection, GrpcTarget } from "./grpc-target.ts";

const MAX_TIMER_MS = 0x7fff_ffff;
/** Fields with which a call of gRPC ends; an answer without messages has them in its head. */
const STATUS_FIELDS: ReadonlySet<string> = new Set(["grpc-status", "grpc-message", "grpc-status-details-bin"]);

/**
 * One call of gRPC: a stream of the tunnel on one side, a stream of HTTP/2 on the other. Only Buffers are written to the
 * latter: Node joins a string that is written between others with memory that was never its own.
 */
export class GrpcCall implements StreamHandler, Carried {
  readonly call: HttpCall;
  readonly startedMs: number = performance.now();
  place = -1;
  readonly #stream: TunnelStream;
  readonly #target: GrpcTarget;
  readonly #events: CarriedEvents;
  readonly #timer: NodeJS.Timeout;
  #credential: AppliedCredential | undefined;
  #connection: Connection | undefined;
  #upstream: ClientHttp2Stream | undefined;
  /** What came before the stream was there. */
  #early: Buffer[] = [];
  #requestEnded: boolean;
  #status = 0;
  #trailers: readonly string[] | undefined;
  /** The answer's head, and what came with it: sent on together at the turn's end, where the whole answer often is there. */
  #head: { readonly status: number; readonly headers: readonly string[] } | undefined;
  #first: Buffer[] = [];
  #over = false;

  constructor(stream: TunnelStream, endStream: boolean, call: HttpCall, target: GrpcTarget, events: CarriedEvents) {
    this.#stream = stream;
    this.call = call;
    this.#target = target;
    this.#events = events;
    this.#requestEnded = endStream;
    this.#timer = setTimeout(() => this.abort(TOO_LATE), Math.min(call.timeoutMs, MAX_TIMER_MS));
  }

  get facts(): Carried["facts"] {
    return { call: this.call.call, connection: this.call.connection };
  }

  /** Once it is known to be under way: it may be over before this returns. */
  begin(): void {
    try {
      const credential = this.#target.credential?.current();
      if (credential instanceof Promise) {
        credential.then(
          (applied) => this.#send(applied),
          (error) => this.#fail(NO_CREDENTIAL, credentialDetail(error)),
        );
      } else this.#send(credential);
    } catch (error) {
      this.#fail(NO_CREDENTIAL, credentialDetail(error));
    }
  }

  #send(credential: AppliedCredential | undefined): void {
    if (this.#over) return;
    this.#credential = credential;
    const { list } = requestHeaders(this.call.headers, credential);
    let upstream: ClientHttp2Stream;
    try {
      this.#connection = this.#target.session();
      upstream = this.#connection.session.request({
        ":method": "POST",
        ":path": this.call.path,
        ...fields(list),
        te: "trailers",
      });
    } catch (error) {
      this.#fail(upstreamError(error), codeOf(error));
      return;
    }
    this.#connection.calls += 1;
    this.#upstream = upstream;
    upstream.on("response", (headers, flags) => this.#onResponse(headers, flags));
    upstream.on("trailers", (headers) => this.#onTrailers(headers));
    upstream.on("data", (chunk: Buffer) => {
      if (this.#over) return;
      if (this.#head !== undefined) this.#first.push(chunk);
      else if (!this.#stream.write(chunk)) upstream.pause();
    });
    upstream.on("end", () => this.#onEnd());
    upstream.on("error", (error) => {
      const reason = reasonOf(error);
      if (!this.#over) this.#fail(upstreamError(reason), codeOf(reason));
    });
    upstream.on("close", () => {
      if (!this.#over) this.#fail(CUT_OFF, `rst ${upstream.rstCode}`);
    });
    for (const chunk of this.#early) this.#write(chunk);
    this.#early = [];
    if (this.#requestEnded) upstream.end();
  }

  // --- from the server, through the tunnel ---

  onData(chunk: Buffer): void {
    if (this.#over) return;
    if (this.#upstream === undefined) this.#early.push(chunk);
    else this.#write(chunk);
  }

  #write(chunk: Buffer): void {
    const consumed = (): void => {
      const { state } = this.#stream;
      if (state === "open" || state === "half-closed-local") this.#stream.consumed(chunk.length);
    };
    // The credit goes back when the model server takes the bytes: one that does not read stops its caller.
    if (this.#upstream?.writableNeedDrain === true) this.#upstream.write(chunk, consumed);
    else {
      this.#upstream?.write(chunk);
      consumed();
    }
  }

  onEnd(_trailers: FrameHeaders | undefined): void {
    this.#requestEnded = true;
    if (!this.#over) this.#upstream?.end();
  }

  onReset(error: StreamResetError): void {
    if (this.#over) return;
    this.#finish({ kind: "cancelled", detail: error.message });
  }

  onDrain(): void {
    this.#upstream?.resume();
  }

  abort(error: StreamError): void {
    this.#fail(error, error.code);
  }

  // --- from the model server ---

  #onResponse(headers: IncomingHttpHeaders & { ":status"?: number | undefined }, flags: number): void {
    if (this.#over) return;
    const status = Number(headers[":status"] ?? 0);
    if (status < 200 || status > 599) {
      this.#fail(BAD_STATUS, String(status));
      return;
    }
    this.#status = status;
    const list = answerHeaders(withoutPseudo(headers), this.#credential);
    if (status === 401 || headers["grpc-status"] === "16") this.#target.credential?.doubt();
    const [head, trailers] = (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0 ? [list, undefined] : splitStatus(list);
    this.#trailers = trailers;
    this.#head = { status, headers: head };
    setImmediate(() => this.#sendHead());
  }

  #sendHead(): void {
    if (this.#head === undefined || this.#over) return;
    this.#stream.sendHeaders(this.#head);
    this.#head = undefined;
    for (const chunk of this.#first) if (!this.#stream.write(chunk)) this.#upstream?.pause();
    this.#first = [];
  }

  #onTrailers(headers: IncomingHttpHeaders): void {
    if (headers["grpc-status"] === "16") this.#target.credential?.doubt();
    this.#trailers = answerHeaders(withoutPseudo(headers), this.#credential);
  }

  #onEnd(): void {
    if (this.#over || this.#status === 0) return;
    // A reset also ends what can be read.
    if (this.#upstream?.rstCode !== undefined && this.#upstream.rstCode !== constants.NGHTTP2_NO_ERROR) {
      this.#fail(CUT_OFF, `rst ${this.#upstream.rstCode}`);
      return;
    }
    this.#sendHead();
    const trailers = this.#trailers ?? [];
    if (trailers.length > 0) this.#stream.endWithTrailers({ trailers });
    else this.#stream.end();
    const { state } = this.#stream;
    // The rest of the request is of no use to anybody.
    if (state === "half-closed-local") this.#stream.reset(TunnelErrorCode.NO_ERROR);
    this.#finish({ kind: "answered", status: this.#status });
  }

  // --- the end ---

  #fail(error: StreamError, detail: string): void {
    if (this.#over) return;
    this.#sendHead();
    const { state } = this.#stream;
    if (state !== "closed") {
      if (this.#status !== 0) this.#stream.reset(TunnelErrorCode.INTERNAL_ERROR, `${error.code}: ${error.message}`);
      else {
        this.#stream.sendHeaders({ error }, { endStream: true });
        if (!this.#requestEnded) this.#stream.reset(TunnelErrorCode.NO_ERROR);
      }
    }
    this.#finish({ kind: "failed", error, detail });
  }

  #finish(outcome: Outcome): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#early = [];
    const upstream = this.#upstream;
    if (upstream !== undefined && !upstream.closed) {
      if (outcome.kind === "answered") upstream.end();
      // RST_STREAM: the model server's work ends with it.
      if (!upstream.writableFinished || outcome.kind !== "answered") upstream.close(constants.NGHTTP2_CANCEL);
    }
    if (this.#connection !== undefined) this.#connection.calls -= 1;
    this.#target.calls -= 1;
    this.#events.over(this, outcome);
  }
}

function withoutPseudo(headers: IncomingHttpHeaders): Readonly<Record<string, string | string[] | undefined>> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name, value]) => !name.startsWith(":") && typeof value !== "number"),
  );
}

function splitStatus(list: readonly string[]): [head: string[], trailers: string[]] {
  const head: string[] = [];
  const trailers: string[] = [];
  for (let i = 0; i + 1 < list.length; i += 2) {
    (STATUS_FIELDS.has(list[i] as string) ? trailers : head).push(list[i] as string, list[i + 1] as string);
  }
  return [head, trailers];
}

function fields(list: readonly string[]): OutgoingHttpHeaders {
  const out: Record<string, string | string[]> = {};
  for (let i = 0; i + 1 < list.length; i += 2) {
    const name = list[i] as string;
    const known = out[name];
    out[name] = known === undefined ? (list[i + 1] as string) : [...[known].flat(), list[i + 1] as string];
  }
  return out;
}

const credentialDetail = (error: unknown): string =>
  error instanceof CredentialError ? error.message : "the credential's source failed";

const TOO_LATE: StreamError = { code: "upstream_timeout", message: "the call took too long" };
const NO_CREDENTIAL: StreamError = {
  code: "upstream_failed",
  message: "the agent has no credential for this connection",
};
const BAD_STATUS: StreamError = { code: "upstream_failed", message: "the model server's answer has no good status" };
const CUT_OFF: StreamError = { code: "upstream_failed", message: "the model server broke its answer off" };
