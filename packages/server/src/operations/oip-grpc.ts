import { DELIMITED, FIXED64, ProtobufError, VARINT, varintAt, varintEnd, WireReader } from "../protobuf/wire.ts";
import { largest, type Texts, text } from "./json-members.ts";
import { type Span, TensorData, UNKNOWN } from "./oip-grpc-data.ts";

/**
 * Open Inference Protocol v2 over gRPC: what a ModelInferRequest asks for. Numbers of fields:
 * https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/open_inference_grpc.proto
 */

const MAX_DIMS = 64;

export interface InferRequest {
  readonly model?: string;
  readonly rows?: number;
  readonly texts: Texts;
  readonly unclear?: string;
}

/** @throws ProtobufError */
export function readInferRequest(bytes: Buffer, texts: Texts): InferRequest {
  return new InferReader(bytes, texts).read();
}

class InferReader {
  readonly #bytes: Buffer;
  readonly #texts: Texts;
  readonly #data: TensorData;
  #unclear: string | undefined;

  constructor(bytes: Buffer, texts: Texts) {
    this.#bytes = bytes;
    this.#texts = texts;
    this.#data = new TensorData(bytes, texts, (why) => this.unclear(why));
  }

  read(): InferRequest {
    let model: string | undefined;
    const inputs: Span[] = [];
    const raw: Span[] = [];
    const reader = new WireReader(this.#bytes);
    const once = new Once(this);
    while (reader.next()) {
      const { number, wire, from, to } = reader;
      if (number > 7 || wire !== DELIMITED) this.unclear(UNKNOWN);
      else if (number <= 3) {
        once.saw(number);
        const read = this.#text(from, to);
        if (number === 1) model = text(read);
      } else if (number === 4) this.#parameter(from, to);
      else if (number === 5) inputs.push({ from, to });
      else if (number === 6) this.#output(from, to);
      else raw.push({ from, to });
    }
    if (model === undefined) this.unclear("it names no model");
    if (raw.length > 0 && raw.length !== inputs.length) this.unclear("its inputs and their data are not of one number");
    let rows: number | undefined;
    inputs.forEach((input, i) => {
      rows = largest(rows, this.#input(input, raw.length === 0 ? undefined : (raw[i] ?? { from: 0, to: 0 })));
    });
    if (rows === undefined) this.unclear("no input says how many rows it has");
    return {
      ...(model === undefined ? {} : { model }),
      ...(rows === undefined ? {} : { rows }),
      texts: this.#texts,
      ...(this.#unclear === undefined ? {} : { unclear: this.#unclear }),
    };
  }

  /** The first reason is kept. */
  unclear(why: string): void {
    this.#unclear ??= why;
  }

  /** @returns rows of one input */
  #input({ from, to }: Span, raw: Span | undefined): number | undefined {
    let datatype = "";
    const dims: number[] = [];
    let contents: Span | undefined;
    const reader = new WireReader(this.#bytes, from, to);
    const once = new Once(this);
    while (reader.next()) {
      const { number, wire } = reader;
      if (number === 3 && (wire === DELIMITED || wire === VARINT)) this.#dims(reader, dims);
      else if (number > 5 || wire !== DELIMITED) this.unclear(UNKNOWN);
      else if (number === 4) this.#parameter(reader.from, reader.to);
      else {
        once.saw(number);
        if (number === 1) this.#text(reader.from, reader.to);
        else if (number === 2) datatype = this.#text(reader.from, reader.to);
        else contents = { from: reader.from, to: reader.to };
      }
    }
    if (dims.length === 0 || dims.length > MAX_DIMS) {
      this.unclear("an input has no shape");
      return undefined;
    }
    if (raw !== undefined && contents !== undefined) this.unclear("an input has its data twice");
    const found = raw === undefined ? this.#data.inContents(datatype, contents) : this.#data.inRaw(datatype, raw);
    return this.#rows(dims, found);
  }

  /**
   * The first dimension, or what the data shows to be more. A batch of one whose second dimension is the true batch
   * ([1, 5000, 6]) counts as that; [1, N] is one row of N features.
   */
  #rows(dims: readonly number[], found: number | undefined): number | undefined {
    if (dims.some((size) => size < 0)) {
      this.unclear("an input has a dimension below zero");
      return undefined;
    }
    const first = dims[0] === 1 && dims.length > 2 ? (dims[1] as number) : (dims[0] as number);
    const elements = dims.reduce((product, size) => product * size, 1);
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(elements)) {
      this.unclear("an input's shape is too large");
      return Number.isSafeInteger(first) ? first : undefined;
    }
    if (found !== elements) this.unclear("an input's shape and data disagree");
    if (found === undefined) return first;
    const perRow = Math.max(1, elements / Math.max(1, first));
    return Math.max(first, Math.ceil(found / perRow));
  }

  #dims({ bytes, from, to }: WireReader, into: number[]): void {
    for (let at = from; at < to && into.length <= MAX_DIMS; ) {
      const end = varintEnd(bytes, at, to);
      const value = varintAt(bytes, at, end);
      // What has the sign's bit is below zero; what is no safe number is too large all the same.
      into.push(typeof value === "bigint" && value >= 1n << 63n ? -1 : Number(value));
      at = end;
    }
  }

  /** An entry of a map of InferParameter. */
  #parameter(from: number, to: number): void {
    const reader = new WireReader(this.#bytes, from, to);
    const once = new Once(this);
    while (reader.next()) {
      if (reader.number > 2 || reader.wire !== DELIMITED) this.unclear(UNKNOWN);
      else once.saw(reader.number);
      if (reader.number === 1 && /^shared_memory_/.test(this.#text(reader.from, reader.to))) {
        this.unclear("its data lies in shared memory");
      } else if (reader.number === 2) this.#parameterValue(reader.from, reader.to);
    }
  }

  #parameterValue(from: number, to: number): void {
    const reader = new WireReader(this.#bytes, from, to);
    const wires = [-1, VARINT, VARINT, DELIMITED, FIXED64, VARINT];
    let values = 0;
    while (reader.next()) {
      if (wires[reader.number] !== reader.wire) this.unclear(UNKNOWN);
      if (++values > 1) this.unclear(TWICE);
    }
  }

  /** InferRequestedOutputTensor */
  #output(from: number, to: number): void {
    const reader = new WireReader(this.#bytes, from, to);
    const once = new Once(this);
    while (reader.next()) {
      if (reader.number > 2 || reader.wire !== DELIMITED) this.unclear(UNKNOWN);
      else if (reader.number === 2) this.#parameter(reader.from, reader.to);
      else {
        once.saw(1);
        this.#text(reader.from, reader.to);
      }
    }
  }

  #text(from: number, to: number): string {
    return textAt(this.#bytes, from, to);
  }
}

const TWICE = "it says one thing twice";

/** A field that may be there once: of two, parsers differ in which they take. */
class Once {
  readonly #reader: InferReader;
  #seen = 0;

  constructor(reader: InferReader) {
    this.#reader = reader;
  }

  saw(number: number): void {
    if ((this.#seen & (1 << number)) !== 0) this.#reader.unclear(TWICE);
    this.#seen |= 1 << number;
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A proto3 string. @throws ProtobufError for what is not UTF-8: other readers refuse it, too, or read it as something else */
export function textAt(bytes: Buffer, from: number, to: number): string {
  try {
    return UTF8.decode(bytes.subarray(from, to));
  } catch (cause) {
    throw new ProtobufError("a text is not UTF-8", { cause });
  }
}
