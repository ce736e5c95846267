import { countVarints, DELIMITED, FIXED32, FIXED64, VARINT, WireReader } from "../protobuf/wire.ts";
import type { Texts } from "./json-members.ts";

/** One element from this length on may hold many rows. */
const LARGE_VALUE = 65_536;
/** Elements that are read as texts, and bytes of each. */
const MAX_TEXTS = 64;
const MAX_TEXT_BYTES = 262_144;

/** Bytes of one element; BYTES has a length before each. */
const SIZES: ReadonlyMap<string, number> = new Map([
  ...(["BOOL", "UINT8", "INT8"] as const).map((name) => [name, 1] as const),
  ...(["UINT16", "INT16", "FP16", "BF16"] as const).map((name) => [name, 2] as const),
  ...(["UINT32", "INT32", "FP32"] as const).map((name) => [name, 4] as const),
  ...(["UINT64", "INT64", "FP64"] as const).map((name) => [name, 8] as const),
]);

/** The field of InferTensorContents for each datatype; FP16 and BF16 have none. */
const CONTENTS: ReadonlyMap<string, number> = new Map([
  ["BOOL", 1],
  ...(["INT8", "INT16", "INT32"] as const).map((name) => [name, 2] as const),
  ["INT64", 3],
  ...(["UINT8", "UINT16", "UINT32"] as const).map((name) => [name, 4] as const),
  ["UINT64", 5],
  ["FP32", 6],
  ["FP64", 7],
  ["BYTES", 8],
]);
/** How a number of each field of InferTensorContents stands on the wire. */
const ELEMENT_WIRES: readonly number[] = [-1, VARINT, VARINT, VARINT, VARINT, VARINT, FIXED32, FIXED64, DELIMITED];

/** Where a value stands in the message. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export const UNKNOWN = "it has fields that its type does not have";

/** Counts the values of a request's tensors, and gathers the texts among them. */
export class TensorData {
  readonly #bytes: Buffer;
  readonly #texts: Texts;
  readonly #unclear: (why: string) => void;
  #texted = 0;

  constructor(bytes: Buffer, texts: Texts, unclear: (why: string) => void) {
    this.#bytes = bytes;
    this.#texts = texts;
    this.#unclear = unclear;
  }

  /** @returns its elements; undefined: it has none, or they are not its datatype's */
  inContents(datatype: string, contents: Span | undefined): number | undefined {
    if (contents === undefined) {
      this.#unclear("an input has no data");
      return undefined;
    }
    const wanted = CONTENTS.get(datatype);
    let count = 0;
    let others = false;
    const reader = new WireReader(this.#bytes, contents.from, contents.to);
    while (reader.next()) {
      const { number, wire, from, to } = reader;
      if (number !== wanted) others = true;
      const element = ELEMENT_WIRES[number];
      if (element === undefined || (wire !== element && wire !== DELIMITED)) this.#unclear(UNKNOWN);
      else if (number === 8) {
        this.#element(from, to);
        count++;
      } else if (wire !== DELIMITED) count++;
      else if (element === VARINT) count += countVarints(this.#bytes, from, to);
      else count += this.#fixed(to - from, element === FIXED64 ? 8 : 4);
    }
    if (others || wanted === undefined) this.#unclear("an input's values are not of its datatype");
    return count;
  }

  /** @returns as inContents, of a field of raw contents */
  inRaw(datatype: string, { from, to }: Span): number | undefined {
    if (datatype === "BYTES") return this.#rawElements(from, to);
    const size = SIZES.get(datatype);
    if (size !== undefined) return this.#fixed(to - from, size);
    this.#unclear("an input's values are encoded");
    return undefined;
  }

  #fixed(length: number, size: number): number {
    if (length % size !== 0) this.#unclear("an input's data ends in the middle of a value");
    return Math.ceil(length / size);
  }

  /** Each with four bytes of length (little-endian) before it. */
  #rawElements(from: number, to: number): number {
    let count = 0;
    let at = from;
    while (at + 4 <= to) {
      const end = at + 4 + this.#bytes.readUInt32LE(at);
      if (end > to) break;
      this.#element(at + 4, end);
      count++;
      at = end;
    }
    if (at !== to) this.#unclear("the lengths in an input's data do not fit it");
    return count;
  }

  #element(from: number, to: number): void {
    if (to - from > LARGE_VALUE) this.#unclear("one input holds a large encoded value");
    if (this.#texted++ < MAX_TEXTS) {
      this.#texts.add(this.#bytes.toString("utf8", from, Math.min(to, from + MAX_TEXT_BYTES)));
    }
  }
}
