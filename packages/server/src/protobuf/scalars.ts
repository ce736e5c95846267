import type { FieldKind } from "./message-type.ts";
import {
  countVarints,
  DELIMITED,
  ProtobufError,
  signed64,
  varintAt,
  varintEnd,
  type WireReader,
  zigzag,
} from "./wire.ts";

/**
 * Each number of a scalar field, alone or packed, with where it stands.
 * @throws ProtobufError for a list that does not hold whole numbers
 */
export function eachScalar(
  kind: FieldKind,
  { bytes, wire, from, to }: Pick<WireReader, "bytes" | "wire" | "from" | "to">,
  visit: (value: number | bigint | boolean, from: number, to: number) => void,
): void {
  const packed = wire === DELIMITED;
  const size = sizeOf(kind);
  if (!packed) {
    visit(scalarAt(kind, bytes, from, to), from, to);
    return;
  }
  if (size === 0) {
    for (let at = from; at < to; ) {
      const end = varintEnd(bytes, at, to);
      visit(scalarAt(kind, bytes, at, end), at, end);
      at = end;
    }
    return;
  }
  if ((to - from) % size !== 0) throw new ProtobufError("a list does not hold whole numbers");
  for (let at = from; at < to; at += size) visit(scalarAt(kind, bytes, at, at + size), at, at + size);
}

/**
 * A list that nobody looks into has to end where a number ends, all the same: some readers go on beyond it, and would read
 * another message from there on than we have.
 * @throws ProtobufError
 */
export function checkScalars(kind: FieldKind, { bytes, wire, from, to }: WireReader): void {
  if (wire !== DELIMITED) return;
  const size = sizeOf(kind);
  if (size === 0) countVarints(bytes, from, to);
  else if ((to - from) % size !== 0) throw new ProtobufError("a list does not hold whole numbers");
}

/** Bytes of one number; 0 for a varint. */
export function sizeOf(kind: FieldKind): number {
  switch (kind) {
    case "double":
    case "fixed64":
    case "sfixed64":
      return 8;
    case "float":
    case "fixed32":
    case "sfixed32":
      return 4;
    default:
      return 0;
  }
}

/** The number that stands in `[from, to)`. */
export function scalarAt(kind: FieldKind, bytes: Buffer, from: number, to: number): number | bigint | boolean {
  switch (kind) {
    case "double":
      return bytes.readDoubleLE(from);
    case "float":
      return bytes.readFloatLE(from);
    case "fixed32":
      return bytes.readUInt32LE(from);
    case "sfixed32":
      return bytes.readInt32LE(from);
    case "fixed64":
    case "sfixed64": {
      const high = kind === "fixed64" ? bytes.readUInt32LE(from + 4) : bytes.readInt32LE(from + 4);
      // No BigInt for what is safe without: most tensors are.
      if (high < 0x200000 && high > -0x200000) return high * 0x100000000 + bytes.readUInt32LE(from);
      return kind === "fixed64" ? bytes.readBigUInt64LE(from) : bytes.readBigInt64LE(from);
    }
    default:
      return varintOf(kind, varintAt(bytes, from, to));
  }
}

/** Kinds whose small values stand as they are. */
const PLAIN: ReadonlySet<FieldKind> = new Set(["int32", "int64", "uint32", "uint64", "enum"]);

function varintOf(kind: FieldKind, value: number | bigint): number | bigint | boolean {
  if (typeof value === "number" && value <= 0x7fffffff && PLAIN.has(kind)) return value;
  switch (kind) {
    case "bool":
      return BigInt(value) !== 0n;
    case "int64":
      return signed64(value);
    case "int32":
    case "enum":
      // Of what is longer only 32 bits count, as in protobuf's own readers.
      return Number(BigInt.asIntN(32, BigInt(value)));
    case "uint32":
      return Number(BigInt.asUintN(32, BigInt(value)));
    case "sint32":
      return Number(BigInt.asIntN(32, BigInt(zigzag(BigInt.asUintN(32, BigInt(value))))));
    case "sint64":
      return zigzag(value);
    default:
      return value;
  }
}
