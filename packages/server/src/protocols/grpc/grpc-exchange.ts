import { type HeaderList, HoopishError } from "@hoopish/protocol";
import type { MaskedBytes } from "../../masking/masker.ts";
import type { MaskPlan } from "../../masking/plan.ts";
import { countGrpcFindings } from "../../masking/protobuf/count-findings.ts";
import { createGrpcMasker } from "../../masking/protobuf/grpc-mask.ts";
import { maskTrailerMessage } from "../../masking/protobuf/trailer.ts";
import { Tally } from "../../masking/tally.ts";
import { describeGrpc } from "../../operations/grpc.ts";
import type { BodyReading, Operation } from "../../operations/operation.ts";
import { decompress, GrpcFrameReader } from "../../protobuf/framing.ts";
import { messageToJson } from "../../protobuf/json.ts";
import type { GrpcMethod, GrpcSchema } from "../../protobuf/schema.ts";
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
import { httpStatusOf } from "./status.ts";

const BINARY: BodyReading = { state: "other", reason: "it is protobuf" };
const ENCODINGS: ReadonlySet<string> = new Set(["identity", "gzip", "deflate"]);

/** One method's call. */
export class GrpcExchange implements Exchange {
  readonly protocol = "grpc";
  readonly method = "POST";
  readonly path: string;
  readonly query = "";
  readonly headers: HeaderList;
  readonly length = undefined;
  readonly body: RequestBody;
  readonly answer: AnswerSink;
  readonly judgesPieces: boolean;
  readonly meaningInBody = false;
  readonly #session: Session;
  readonly #schema: GrpcSchema;
  readonly #known: GrpcMethod | undefined;
  #read: { readonly bytes: Buffer; readonly messages: readonly Buffer[] } | undefined;

  constructor(
    session: Session,
    schema: GrpcSchema,
    head: { readonly path: string; readonly headers: HeaderList },
    body: RequestBody,
    answer: AnswerSink,
  ) {
    this.#session = session;
    this.#schema = schema;
    this.path = head.path;
    this.headers = head.headers;
    this.body = body;
    this.answer = answer;
    this.#known = schema.method(head.path);
    // Of a method that nobody knows it is not known either how many messages it takes.
    this.judgesPieces = this.#known?.clientStreaming ?? true;
  }

  read(): BodyReading {
    return BINARY;
  }

  describe(request: ReadRequest): Operation {
    const { connection } = this.#session;
    if (this.#known === undefined && connection.opaque === "block") {
      throw new HoopishError("policy_blocked", "no descriptor tells what this method's messages are", {
        hint: "the connection's descriptors name a file with its service, or opaque: allow lets it pass unseen",
      });
    }
    const messages = this.#messages(request);
    const wrong = !this.judgesPieces && messages.length !== 1;
    return describeGrpc(this.#schema, {
      path: this.path,
      messages,
      ...(wrong ? { problem: `it has ${messages.length} messages where its method takes one` } : {}),
    });
  }

  json(request: ReadRequest): unknown {
    const [message] = this.#messages(request);
    if (this.#known === undefined || message === undefined) return undefined;
    try {
      return messageToJson(this.#known.request, message);
    } catch {
      return undefined;
    }
  }

  findings(request: ReadRequest): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    const type = this.#known?.request;
    if (type === undefined) throw new HoopishError("response_uninspectable", "nothing tells what its messages are");
    for (const message of this.#messages(request)) {
      for (const [found, count] of countGrpcFindings(type, message))
        counts.set(found, (counts.get(found) ?? 0) + count);
    }
    return counts;
  }

  mask(request: ReadRequest, plan: MaskPlan): MaskedBytes | Promise<MaskedBytes> {
    const type = this.#known?.request;
    if (type === undefined) throw new HoopishError("response_uninspectable", "nothing tells what its messages are");
    const mask = createGrpcMasker(plan, type, this.#maskOptions(headerValue(this.headers, "grpc-encoding")));
    const whole = (masked: Buffer): MaskedBytes => ({ bytes: masked, tally: mask.tally });
    const masked = mask.push(request.bytes);
    return masked instanceof Promise ? masked.then(whole) : whole(masked);
  }

  forward(order: ForwardOrder, agents: AgentDispatch, listener: UpstreamListener): Upstream {
    const { connection } = this.#session;
    const { request } = order;
    return agents.dispatch(
      connection,
      {
        ":kind": "http",
        call: order.call,
        connection: connection.name,
        method: "POST",
        path: this.path,
        headers: forwardedHeaders(this.headers, order.inspected ? ["grpc-accept-encoding"] : []),
        ...(request.ended ? { length: request.bytes.length } : {}),
        timeoutMs: connection.limits.callMs,
      },
      request.ended ? request.bytes : undefined,
      [],
      listener,
    );
  }

  view({ status, headers }: AnswerHead, inspection: Inspection | undefined, unseen: (why: string) => void): AnswerView {
    const type = headerValue(headers, "content-type") ?? "";
    if (status !== 200 || !/^application\/grpc(?:$|[+;])/.test(type)) {
      throw new HoopishError("upstream_failed", `the model server did not answer in gRPC (HTTP status ${status})`);
    }
    const kept = withoutHeaders(headers, ["content-length"]);
    // Of one message nothing is an answer before the trailers have said so.
    const inOne = this.#known?.serverStreaming === false;
    if (inspection === undefined) return { headers: kept, masker: undefined, holdsHead: false, inOne };
    const { plan, uninspectable } = inspection;
    if (this.#known === undefined) {
      if (uninspectable === "block") {
        throw new HoopishError(
          "response_uninspectable",
          "the answer cannot be looked into: no descriptor tells what it is",
        );
      }
      unseen("no descriptor tells what it is");
      return { headers: kept, masker: undefined, holdsHead: false };
    }
    const options = this.#maskOptions(headerValue(headers, "grpc-encoding"));
    const masker = createGrpcMasker(plan, this.#known.response, {
      ...options,
      maxMessageBytes: this.#session.connection.limits.responseBytes,
      ...(uninspectable === "allow" ? { unseen } : {}),
    });
    return { headers: kept, masker, holdsHead: true, inOne };
  }

  close(trailers: HeaderList, inspection: Inspection | undefined): AnswerClose {
    const status = httpStatusOf(headerValue(trailers, "grpc-status"));
    if (status === undefined) {
      throw new HoopishError("upstream_failed", "the model server's answer ended without a status");
    }
    if (inspection === undefined) return { trailers, status };
    const { plan } = inspection;
    // Details are messages of any type, packed; their sense stands in the message, too.
    const kept = withoutHeaders(trailers, ["grpc-status-details-bin"]);
    const masked = kept.map((text, i) =>
      i % 2 === 1 && kept[i - 1] === "grpc-message" ? maskTrailerMessage(text, plan, new Tally(plan)) : text,
    );
    return { trailers: masked, status };
  }

  #maskOptions(encoding: string | undefined): { encoding?: string; maxMessageBytes: number } {
    const { requestBytes } = this.#session.connection.limits;
    return { ...(encoding === undefined ? {} : { encoding }), maxMessageBytes: requestBytes };
  }

  /** What was sent, without framing and compression. @throws HoopishError bad_request, request_too_large */
  #messages({ bytes }: ReadRequest): readonly Buffer[] {
    if (this.#read?.bytes === bytes) return this.#read.messages;
    const { requestBytes } = this.#session.connection.limits;
    const encoding = headerValue(this.headers, "grpc-encoding") ?? "identity";
    if (!ENCODINGS.has(encoding))
      throw new HoopishError("bad_request", "its messages are compressed in an unknown way");
    let messages: Buffer[];
    try {
      const frames = new GrpcFrameReader({ maxMessageBytes: requestBytes }).push(bytes);
      messages = frames.map((frame) => (frame.compressed ? decompress(frame, encoding, requestBytes) : frame.bytes));
    } catch (cause) {
      throw new HoopishError("bad_request", `the request cannot be read: ${(cause as Error).message}`, { cause });
    }
    this.#read = { bytes, messages };
    return messages;
  }
}
