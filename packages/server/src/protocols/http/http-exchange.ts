import { type HeaderList, HoopishError } from "@hoopish/protocol";
import { countFindings } from "../../masking/count-findings.ts";
import { createMasker, inspectionProblem, type MaskedBytes, maskAnalyzed, maskWhole } from "../../masking/masker.ts";
import type { MaskPlan } from "../../masking/plan.ts";
import { describe } from "../../operations/describe.ts";
import type { BodyReading, Operation } from "../../operations/operation.ts";
import { pathProblem } from "../../operations/path.ts";
import { readBody } from "../../operations/read-body.ts";
import type {
  AnswerClose,
  AnswerHead,
  AnswerSink,
  AnswerView,
  Exchange,
  ForwardOrder,
  Inspection,
  ReadRequest,
  RequestBody,
} from "../../relay/exchange.ts";
import { forwardedHeaders, headerValue, withoutHeaders } from "../../relay/headers.ts";
import type { AgentDispatch, Upstream, UpstreamListener } from "../../relay/ports.ts";
import type { Session } from "../../sessions/session.ts";

/** A part of an answer may begin or end in the middle of a value: where answers are masked, all of one is asked for. */
const PART_OF_ANSWER = ["range", "if-range"];
/** Of a body that is not sent as it came. */
const DIGESTS = ["content-md5", "digest", "content-digest", "repr-digest"];
/** Of an answer that is not given as it came. */
const OF_THE_BYTES = ["content-length", ...DIGESTS, "etag"];

/** What of a request's head is needed. */
export interface HttpRequestHead {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: HeaderList;
  readonly length: number | undefined;
}

/** One exchange of HTTP/1.1. */
export class HttpExchange implements Exchange {
  readonly protocol = "http";
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: HeaderList;
  readonly length: number | undefined;
  readonly body: RequestBody;
  readonly answer: AnswerSink;
  readonly judgesPieces = false;
  readonly meaningInBody = false;
  readonly #session: Session;

  constructor(session: Session, head: HttpRequestHead, body: RequestBody, answer: AnswerSink) {
    this.#session = session;
    this.method = head.method;
    this.path = head.path;
    this.query = head.query;
    this.headers = head.headers;
    this.length = head.length;
    this.body = body;
    this.answer = answer;
  }

  read(bytes: Buffer, ended: boolean): BodyReading {
    return readBody(bytes, ended);
  }

  describe(request: ReadRequest): Operation {
    const problem = pathProblem(this.path);
    if (problem !== undefined) throw new HoopishError("bad_request", `the path is not in its normal form: ${problem}`);
    return describe(this.#session.connection.api, {
      method: this.method,
      path: this.path,
      query: this.query,
      headers: this.headers,
      contentType: this.#contentType,
      contentEncoding: headerValue(this.headers, "content-encoding"),
      bytes: request.bytes,
      body: request.body,
    });
  }

  json({ body }: ReadRequest): unknown {
    return body.state === "json" ? body.value : undefined;
  }

  findings(request: ReadRequest): ReadonlyMap<string, number> {
    return countFindings(request.bytes, this.#contentType);
  }

  mask(request: ReadRequest, plan: MaskPlan): MaskedBytes | Promise<MaskedBytes> {
    const encoding = headerValue(this.headers, "content-encoding")?.trim().toLowerCase() ?? "identity";
    const type = this.#contentType;
    const problem = encoding === "identity" || encoding === "" ? inspectionProblem(type) : "it is compressed";
    if (problem !== undefined) throw new HoopishError("response_uninspectable", `it cannot be looked into: ${problem}`);
    // Nobody waits where nobody has to be asked: between a verdict and its charge no other call may come.
    return plan.analyze === undefined ? maskWhole(request.bytes, type, plan) : maskAnalyzed(request.bytes, type, plan);
  }

  forward(order: ForwardOrder, agents: AgentDispatch, listener: UpstreamListener): Upstream {
    const { connection } = this.#session;
    const { request } = order;
    const length = request.ended ? request.bytes.length : this.length;
    return agents.dispatch(
      connection,
      {
        ":kind": "http",
        call: order.call,
        connection: connection.name,
        method: this.method,
        path: this.path + this.query,
        headers: forwardedHeaders(this.headers, [
          ...(order.inspected ? PART_OF_ANSWER : []),
          ...(order.altered ? DIGESTS : []),
        ]),
        ...(length === undefined ? {} : { length }),
        timeoutMs: connection.limits.callMs,
      },
      request.ended ? request.bytes : undefined,
      this.body.trailers,
      listener,
    );
  }

  view(head: AnswerHead, inspection: Inspection | undefined, unseen: (why: string) => void): AnswerView {
    const { headers } = head;
    if (head.status < 200) throw new HoopishError("upstream_failed", "the model server gave no final answer");
    if (inspection === undefined) return { headers, masker: undefined, holdsHead: false };
    if (head.status === 206) {
      throw new HoopishError("response_uninspectable", "the answer cannot be looked into: it is a part of one");
    }
    const { plan, uninspectable } = inspection;
    const type = headerValue(headers, "content-type");
    const problem = inspectionProblem(type);
    if (problem !== undefined) {
      if (uninspectable === "block") {
        throw new HoopishError("response_uninspectable", `the answer cannot be looked into: ${problem}`);
      }
      unseen(problem);
      return { headers, masker: undefined, holdsHead: false };
    }
    return {
      // What is masked has another length, and other digests.
      headers: withoutHeaders(headers, OF_THE_BYTES),
      masker: createMasker(plan, type, uninspectable === "allow" ? unseen : undefined),
      holdsHead: plan.analyze !== undefined || !/^text\/event-stream\b/i.test(type ?? ""),
    };
  }

  close(trailers: HeaderList): AnswerClose {
    return { trailers };
  }

  get #contentType(): string | undefined {
    return headerValue(this.headers, "content-type");
  }
}
