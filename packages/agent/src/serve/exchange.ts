import { type FrameHeaders, type HttpCall, type StreamError, TunnelErrorCode, trailersSchema } from "@hoopish/protocol";
import type { StreamHandler, StreamResetError, TunnelStream } from "@hoopish/tunnel";
import type { Dispatcher } from "undici";
import type { AppliedCredential } from "../credential/credential.ts";
import { CredentialError } from "../credential/secret-source.ts";
import { codeOf } from "../error-code.ts";
import { RequestBody } from "./body.ts";
import type { Carried, CarriedEvents, Outcome } from "./carried.ts";
import type { CallDispatcher, Carrier, UpstreamHandler, UpstreamRequest } from "./dispatcher.ts";
import { type AnswerFields, answerHeaders, requestHeaders, requestPath, requestTrailers } from "./headers.ts";
import type { Waiter } from "./slots.ts";
import type { Upstream } from "./upstream.ts";
import { upstreamError } from "./upstream-error.ts";

/**
 * collecting: the body is arriving and nothing has gone out · waiting: for one of the connection's clients · asking: the
 * call is on its way to the model server · answering: the answer's head has been sent on · over: nothing more happens,
 * whatever still arrives. A client is held while asking and answering.
 */
type Phase = "collecting" | "waiting" | "asking" | "answering" | "over";

/** A body of known length up to this is held until all of it is there, and sent in one piece. Bytes. */
const WHOLE_BYTES = 64 * 1024;
const MAX_TIMER_MS = 0x7fff_ffff;

/**
 * One call: a stream of the tunnel on one side, a request of undici's on the other. It is the handler of both, so that
 * a call costs one object, and it ends both whichever of them ends first.
 *
 * Longer than most files: what each side may do in each phase of a call reads best as one.
 */
export class Exchange implements StreamHandler, UpstreamHandler, Waiter<CallDispatcher>, Carried {
  readonly call: HttpCall;
  readonly upstream: Upstream;
  readonly startedMs: number = performance.now();
  carrier: Carrier | undefined = undefined;
  /** Among the calls that are in flight. */
  place = -1;

  readonly #stream: TunnelStream;
  readonly #events: CarriedEvents;
  readonly #timer: NodeJS.Timeout;
  #phase: Phase = "collecting";
  #body: RequestBody | undefined;
  #bodyBytes = 0;
  /** Set while a body of unknown length waits for the end of the tick, which often brings the rest. */
  #goScheduled = false;
  /** It went, or goes, out by the way that can end with trailers; the call must have announced them. */
  #carriesTrailers = false;
  #client: CallDispatcher | undefined;
  #credential: AppliedCredential | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  /** The answer ends where its connection does, so only the socket tells whether it is whole. */
  #endsWithConnection = false;

  constructor(stream: TunnelStream, call: HttpCall, upstream: Upstream, events: CarriedEvents) {
    this.#stream = stream;
    this.call = call;
    this.upstream = upstream;
    this.#events = events;
    this.#timer = setTimeout(expire, Math.min(call.timeoutMs, MAX_TIMER_MS), this);
  }

  get facts(): Carried["facts"] {
    return { call: this.call.call, connection: this.call.connection };
  }

  // --- from the server, through the tunnel ---

  onData(chunk: Buffer): void {
    if (this.#phase === "over") return;
    this.#bodyBytes += chunk.length;
    const { length } = this.call;
    if (length !== undefined && this.#bodyBytes > length) {
      this.#fail(WRONG_LENGTH, "body too long");
      return;
    }
    this.#body ??= new RequestBody(this.#stream);
    this.#body.push(chunk);
    if (this.#phase !== "collecting") return;
    if (length !== undefined && length <= WHOLE_BYTES) {
      // It is held whole in any case, so its credit goes back; the last chunk's is of no use to anybody any more.
      if (this.#bodyBytes < length) this.#stream.consumed(chunk.length);
    } else if (!this.#goScheduled) {
      this.#goScheduled = true;
      queueMicrotask(() => {
        if (this.#phase === "collecting") this.#go();
      });
    }
  }

  onEnd(trailers: FrameHeaders | undefined): void {
    if (this.#phase === "over") return;
    const { length } = this.call;
    if (length !== undefined && this.#bodyBytes !== length) {
      this.#fail(WRONG_LENGTH, "body too short");
      return;
    }
    if (trailers !== undefined && !this.#takeTrailers(trailers)) {
      this.#fail(BAD_TRAILERS, "trailers");
      return;
    }
    this.#body?.end();
    if (this.#phase === "collecting") this.#go();
  }

  /** False: they cannot be read, or the request has gone out by a way that cannot carry them. */
  #takeTrailers(headers: FrameHeaders): boolean {
    const parsed = trailersSchema.safeParse(headers);
    if (!parsed.success) return false;
    const list = requestTrailers(parsed.data.trailers, this.upstream.config.credential?.place);
    if (list.length === 0) return true;
    this.#body ??= new RequestBody(this.#stream);
    this.#body.trailers = list;
    return this.#phase === "collecting" || this.#phase === "waiting" || this.#carriesTrailers;
  }

  onReset(error: StreamResetError): void {
    if (this.#phase === "over") return;
    this.#stop();
    this.#letGo(error);
    this.#finish({ kind: "cancelled", detail: error.message });
  }

  onDrain(): void {
    if (this.#phase === "answering") this.#controller?.resume();
  }

  /** Gives the call up: its time is over, or the agent stops. */
  abort(error: StreamError): void {
    this.#fail(error, error.code);
  }

  // --- to the model server ---

  #go(): void {
    const client = this.upstream.clients.take(this);
    if (client === undefined) this.#phase = "waiting";
    else this.onSlot(client);
  }

  onSlot(client: CallDispatcher): void {
    this.#client = client;
    this.#phase = "asking";
    let credential: AppliedCredential | Promise<AppliedCredential> | undefined;
    try {
      credential = this.upstream.credential?.current();
    } catch (error) {
      this.#fail(NO_CREDENTIAL, credentialDetail(error));
      return;
    }
    if (credential instanceof Promise) {
      credential.then(
        (applied) => this.#send(applied),
        (error) => this.#fail(NO_CREDENTIAL, credentialDetail(error)),
      );
    } else this.#send(credential);
  }

  #send(credential: AppliedCredential | undefined): void {
    if (this.#phase === "over") return;
    this.#credential = credential;
    const { call, upstream } = this;
    const { list, upgrade, trailer } = requestHeaders(call.headers, credential);
    if (upgrade) {
      this.#fail(NO_UPGRADE, "upgrade");
      return;
    }
    const path = requestPath(upstream.config.target.basePath, call.path, credential);
    const body = this.#body;
    this.#carriesTrailers = trailer && body !== undefined;
    if (body !== undefined && body.trailers.length > 0 && !trailer) {
      this.#fail(BAD_TRAILERS, "trailers");
      return;
    }
    const request: UpstreamRequest = { path, method: call.method, headers: list, body: body ?? null };
    if (this.#carriesTrailers) {
      upstream.trailing.dispatch(request, this);
      return;
    }
    if (body?.isComplete) request.body = body.take();
    else if (body !== undefined && call.length !== undefined) list.push("content-length", String(call.length));
    this.#client?.dispatch(request, this);
  }

  // --- from the model server, through undici ---

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#phase === "over") controller.abort(OVER);
    else this.#controller = controller;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, fields: AnswerFields): void {
    // Interim answers are for the hop that they arrived on; the final one follows.
    if (this.#phase !== "asking" || status < 200) return;
    if (status > 599) {
      this.#fail(BAD_STATUS, String(status));
      return;
    }
    if (status === 401) this.upstream.credential?.doubt();
    this.#phase = "answering";
    this.#status = status;
    this.#endsWithConnection = fields["content-length"] === undefined && fields["transfer-encoding"] === undefined;
    this.#stream.sendHeaders({ status, headers: answerHeaders(fields, this.#credential) });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#phase === "answering" && !this.#stream.write(chunk)) controller.pause();
  }

  onResponseEnd(_: Dispatcher.DispatchController, trailers: AnswerFields): void {
    if (this.#phase !== "answering") return;
    if (this.#endsWithConnection && this.carrier?.socketBroke) {
      this.#fail(CUT_OFF, "socket broke");
      return;
    }
    const list = answerHeaders(trailers, this.#credential);
    if (list.length > 0) this.#stream.endWithTrailers({ trailers: list });
    else this.#stream.end();
    this.#stop();
    this.#stopReading();
    this.#finish({ kind: "answered", status: this.#status });
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#phase !== "over") this.#fail(upstreamError(error), codeOf(error));
  }

  // --- the end ---

  #fail(error: StreamError, detail: string): void {
    if (this.#phase === "over") return;
    const answering = this.#phase === "answering";
    this.#stop();
    if (answering) {
      // Never an orderly end: what the client has is not the whole answer.
      this.#stream.reset(TunnelErrorCode.INTERNAL_ERROR, `${error.code}: ${error.message}`);
    } else {
      this.#stream.sendHeaders({ error }, { endStream: true });
      this.#stopReading();
    }
    this.#letGo(OVER);
    this.#finish({ kind: "failed", error, detail });
  }

  /** From here on nothing that arrives counts, whichever side it comes from. */
  #stop(): void {
    if (this.#phase === "waiting") this.upstream.clients.leave(this);
    this.#phase = "over";
    clearTimeout(this.#timer);
  }

  /** Last of all, when the client has been told to let go of the call. */
  #finish(outcome: Outcome): void {
    if (this.#client !== undefined) this.upstream.clients.giveBack(this.#client);
    this.upstream.calls -= 1;
    this.#events.over(this, outcome);
  }

  /** The answer is complete and the rest of the request is of no use to anybody (RFC 9113 section 8.1). */
  #stopReading(): void {
    if (this.#body?.isComplete === false) this.#body.fail(OVER);
    const { state } = this.#stream;
    if (state === "open" || state === "half-closed-local") this.#stream.reset(TunnelErrorCode.NO_ERROR);
  }

  /** Closes the socket to the model server, which is how it learns that nobody waits any more. */
  #letGo(error: Error): void {
    this.#body?.fail(error);
    this.#controller?.abort(error);
  }
}

function expire(exchange: Exchange): void {
  exchange.abort({ code: "upstream_timeout", message: "the call took longer than it may" });
}

/** Our own errors are made to hold no secret; any other shows no more than its code. */
function credentialDetail(error: unknown): string {
  return error instanceof CredentialError ? error.message : codeOf(error);
}

const OVER = new Error("the call is over");
const badRequest = (message: string): StreamError => ({ code: "bad_request", message });
const upstreamFailed = (message: string): StreamError => ({ code: "upstream_failed", message });

const WRONG_LENGTH = badRequest("the request's body is not of the length that it announced");
const BAD_TRAILERS = badRequest("the request ends with trailers that it has not announced, or that cannot be read");
const NO_UPGRADE = badRequest("an upgrade to another protocol is not carried");
const NO_CREDENTIAL = upstreamFailed("the agent cannot obtain the credential for this connection");
const BAD_STATUS = upstreamFailed("the model server's answer has a status outside of HTTP");
const CUT_OFF = upstreamFailed("the model server's answer broke off");
