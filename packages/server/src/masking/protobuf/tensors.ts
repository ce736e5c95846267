import { type Field, fits, type MessageType } from "../../protobuf/message-type.ts";
import { ProtobufError, WireReader } from "../../protobuf/wire.ts";
import { uninspectable } from "./leaf-mask.ts";

/** What tells of one tensor of the Open Inference Protocol. */
export interface Tensor {
  readonly name: string;
  readonly datatype: string;
  /** Its data is elsewhere. */
  readonly shared: boolean;
}

/** The tensors of one message, and which of them each of its raw buffers is. */
export interface Tensors {
  /** In the order of the message's field for tensors. */
  readonly all: readonly Tensor[];
  /** Indexes into `all`, in the order of the message's raw contents. */
  readonly raw: readonly number[];
}

/** Field numbers of messages that hold tensors, by the type's name: the tensors, and their raw contents. */
const HOLDERS: ReadonlyMap<string, { readonly tensors: number; readonly raw: number }> = new Map([
  ["inference.ModelInferRequest", { tensors: 5, raw: 7 }],
  ["inference.ModelInferResponse", { tensors: 5, raw: 6 }],
]);

export const holderOf = (type: MessageType): { readonly tensors: number; readonly raw: number } | undefined =>
  HOLDERS.get(type.name);

/** Kinds of numbers by datatype, as they stand in raw contents. */
export const NUMERIC: ReadonlyMap<string, { readonly bytes: number; readonly kind: Field["kind"] | undefined }> =
  new Map([
    // Of those without a kind no value is long enough to be somebody's number: a float has seven digits.
    ...(["BOOL", "UINT8", "INT8"] as const).map((name) => [name, { bytes: 1, kind: undefined }] as const),
    ...(["UINT16", "INT16", "FP16", "BF16"] as const).map((name) => [name, { bytes: 2, kind: undefined }] as const),
    ["FP32", { bytes: 4, kind: undefined }],
    ["UINT32", { bytes: 4, kind: "fixed32" }],
    ["INT32", { bytes: 4, kind: "sfixed32" }],
    ["UINT64", { bytes: 8, kind: "fixed64" }],
    ["INT64", { bytes: 8, kind: "sfixed64" }],
    ["FP64", { bytes: 8, kind: "double" }],
  ]);

/**
 * Reads ahead which tensors a message has: their raw contents stand apart from them, and say nothing of themselves.
 * @throws ProtobufError, HoopishError response_uninspectable where it is not certain which buffer is whose
 */
export function readTensors(type: MessageType, bytes: Buffer, from: number, to: number): Tensors {
  const holder = holderOf(type);
  const field = holder === undefined ? undefined : type.fields.get(holder.tensors);
  if (holder === undefined || field?.message === undefined) throw new ProtobufError("it holds no tensors");
  const all: Tensor[] = [];
  let buffers = 0;
  const reader = new WireReader(bytes, from, to);
  while (reader.next()) {
    if (!fits(field, reader.wire)) continue;
    if (reader.number === holder.tensors) all.push(readTensor(bytes, reader.from, reader.to));
    else if (reader.number === holder.raw) buffers++;
  }
  const indexes = all.map((_, i) => i);
  if (buffers === 0 || buffers === all.length) return { all, raw: indexes };
  // Of a tensor in shared memory a request has no buffer.
  const raw = indexes.filter((i) => all[i]?.shared === false);
  if (buffers !== raw.length) throw uninspectable("its tensors and their raw contents are not of one number");
  return { all, raw };
}

const DATATYPE = 2;
const PARAMETERS = 4;

function readTensor(bytes: Buffer, from: number, to: number): Tensor {
  let name = "";
  let datatype: string | undefined;
  let shared = false;
  const reader = new WireReader(bytes, from, to);
  while (reader.next()) {
    if (reader.wire !== 2) continue;
    if (reader.number === 1) name = bytes.toString("utf8", reader.from, reader.to);
    else if (reader.number === DATATYPE) {
      // Of two, one reader takes the first and another the last.
      if (datatype !== undefined) throw uninspectable("a tensor says twice what it holds");
      datatype = bytes.toString("latin1", reader.from, reader.to);
    } else if (reader.number === PARAMETERS) {
      const entry = new WireReader(bytes, reader.from, reader.to);
      while (entry.next()) {
        if (entry.number === 1 && bytes.toString("latin1", entry.from, entry.to).startsWith("shared_memory_"))
          shared = true;
      }
    }
  }
  return { name, datatype: datatype ?? "", shared };
}
