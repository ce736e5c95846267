import { BINARY, type HeaderList, HoopishError, TEXT, WebSocketMessageReader } from "@hoopish/protocol";
import { countFindings } from "../../masking/count-findings.ts";
import type { MaskedBytes } from "../../masking/masker.ts";
import type { MaskPlan } from "../../masking/plan.ts";
import { Tally } from "../../masking/tally.ts";
import { WebSocketMask } from "../../masking/websocket-mask.ts";
import { describe } from "../../operations/describe.ts";
import type { BodyReading, Operation } from "../../operations/operation.ts";
import { pathProblem } from "../../operations/path.ts";
import { readBody } from "../../operations/read-body.ts";
import type {
  AnswerClose,
  AnswerHead,
  AnswerView,
  Exchange,
  ForwardOrder,
  Inspection,
  ReadRequest,
} from "../../relay/exchange.ts";
import { forwardedHeaders, headerValue } from "../../relay/headers.ts";
import type { AgentDispatch, Upstream, UpstreamListener } from "../../relay/ports.ts";
import type { Session } from "../../sessions/session.ts";
import type { WebSocketAnswerSink } from "./websocket-answer.ts";
import type { WebSocketBody } from "./websocket-body.ts";

/** For the handshake with the model server. */
const HANDSHAKE_MS = 15_000;

/**
 * A WebSocket: the handshake is the call, the client's messages are its request, and the model server's its answer. Each message
 * of the client is judged as a question of its own, with its JSON where it is that.
 */
export class WebSocketExchange implements Exchange {
  readonly protocol = "http";
  readonly method = "GET";
  readonly path: string;
  readonly query: string;
  readonly headers: HeaderList;
  readonly length = undefined;
  readonly body: WebSocketBody;
  readonly answer: WebSocketAnswerSink;
  readonly judgesPieces = true;
  readonly meaningInBody = false;
  readonly #session: Session;
  #mask: WebSocketMask | undefined;

  constructor(
    session: Session,
    head: { readonly path: string; readonly query: string; readonly headers: HeaderList },
    body: WebSocketBody,
    answer: WebSocketAnswerSink,
  ) {
    this.#session = session;
    this.path = head.path;
    this.query = head.query;
    this.headers = head.headers;
    this.body = body;
    this.answer = answer;
  }

  read(bytes: Buffer): BodyReading {
    const text = this.#text(bytes);
    return text === undefined ? { state: "none" } : readBody(text, true);
  }

  describe({ bytes }: ReadRequest): Operation {
    const problem = pathProblem(this.path);
    if (problem !== undefined) throw new HoopishError("bad_request", `the path is not in its normal form: ${problem}`);
    const operation = describe(this.#session.connection.api, {
      ...{ method: this.method, path: this.path, query: this.query, headers: this.headers },
      ...{ contentType: undefined, contentEncoding: undefined, bytes, body: { state: "none" } },
    });
    // The handshake has no body, and needs none; binary messages cannot be told.
    const { unclear: _, ...told } = operation;
    const binary = bytes.length > 0 && bytes[0] === BINARY;
    return { ...told, stream: true, ...(binary ? { unclear: "a message of it is binary" } : {}) };
  }

  json({ body }: ReadRequest): unknown {
    return body.state === "json" ? body.value : undefined;
  }

  findings({ bytes }: ReadRequest): ReadonlyMap<string, number> {
    const text = this.#text(bytes);
    return text === undefined ? new Map() : countFindings(text, "text/plain");
  }

  mask({ bytes }: ReadRequest, plan: MaskPlan): MaskedBytes {
    const { uninspectable, limits } = this.#session.connection;
    this.#mask ??= new WebSocketMask(plan, {
      maxMessageBytes: limits.requestBytes,
      wholeTexts: true,
      // That it passed is in the operation's own words.
      ...(uninspectable === "allow" ? { unseen: () => undefined } : {}),
    });
    const before = new Map(this.#mask.tally.counts);
    const masked = this.#mask.push(bytes);
    const tally = new Tally(plan);
    for (const [type, count] of this.#mask.tally.counts) {
      const more = count - (before.get(type) ?? 0);
      if (more > 0) tally.counts.set(type, more);
    }
    for (const digest of this.#mask.tally.digests) tally.digests.add(digest);
    return { bytes: masked, tally };
  }

  forward({ call }: ForwardOrder, agents: AgentDispatch, listener: UpstreamListener): Upstream {
    const { connection } = this.#session;
    const offered = headerValue(this.headers, "sec-websocket-protocol");
    return agents.dispatch(
      connection,
      {
        ":kind": "websocket",
        call,
        connection: connection.name,
        path: this.path + this.query,
        headers: forwardedHeaders(this.headers).filter(
          (_, i, list) => !/^(?:sec-websocket-|origin$)/.test(list[i - (i % 2)] ?? ""),
        ),
        protocols: offered === undefined ? [] : offered.split(",").map((name) => name.trim()),
        maxMessageBytes: connection.limits.responseBytes,
        timeoutMs: HANDSHAKE_MS,
      },
      undefined,
      [],
      listener,
    );
  }

  view({ status, headers }: AnswerHead, inspection: Inspection | undefined, unseen: (why: string) => void): AnswerView {
    if (status !== 101)
      throw new HoopishError("upstream_failed", `the model server opens no WebSocket here (HTTP status ${status})`);
    if (inspection === undefined) return { headers, masker: undefined, holdsHead: false };
    const { plan, uninspectable } = inspection;
    const masker = new WebSocketMask(plan, {
      maxMessageBytes: this.#session.connection.limits.responseBytes,
      ...(uninspectable === "allow" ? { unseen } : {}),
    });
    return { headers, masker, holdsHead: false };
  }

  close(): AnswerClose {
    return { trailers: [] };
  }

  /** Of one text message. */
  #text(bytes: Buffer): Buffer | undefined {
    if (bytes.length === 0 || bytes[0] !== TEXT) return undefined;
    return new WebSocketMessageReader(this.#session.connection.limits.requestBytes).push(bytes)[0]?.data;
  }
}
