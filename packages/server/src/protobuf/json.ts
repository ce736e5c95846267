import { isUtf8 } from "node:buffer";
import { type Field, fits, type MessageType } from "./message-type.ts";
import { eachScalar } from "./scalars.ts";
import { MAX_DEPTH, ProtobufError, WireReader } from "./wire.ts";

/** Values of one message that become JSON: a byte of protobuf may be an object of JSON. */
const MAX_VALUES = 1_000_000;

/**
 * A message as rules look at it: names of fields as the proto file has them, 64-bit numbers as numbers where they are safe and as
 * text where not, bytes in base64, enums by name where it is known, NaN and infinities as text. What is not in the message is not
 * in the JSON. A message with fields that its type does not have says so: `unknownFields: true`.
 * @throws ProtobufError
 */
export function messageToJson(type: MessageType, bytes: Buffer): unknown {
  return new JsonWriter(bytes).message(type, 0, bytes.length, {}, 0);
}

type Json = Record<string, unknown>;

class JsonWriter {
  readonly #bytes: Buffer;
  #values = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** @param into what a singular message that comes twice was before: protobuf joins them */
  message(type: MessageType, from: number, to: number, into: Json, depth: number): Json {
    if (depth > MAX_DEPTH) throw new ProtobufError("it is nested too deeply");
    const reader = new WireReader(this.#bytes, from, to);
    while (reader.next()) {
      const field = type.fields.get(reader.number);
      if (field === undefined || !fits(field, reader.wire)) into.unknownFields = true;
      else if (field.kind === "map") this.#entry(field, reader, into, depth);
      else if (field.message !== undefined) this.#nested(field, field.message, reader, into, depth);
      else if (field.kind === "string" || field.kind === "bytes") {
        this.#put(into, field, textOf(this.#bytes, reader.from, reader.to, field.kind));
      } else {
        eachScalar(field.kind, reader, (value) => this.#put(into, field, spoken(value, field)));
      }
    }
    return into;
  }

  #nested(field: Field, type: MessageType, reader: WireReader, into: Json, depth: number): void {
    const before = field.repeated ? undefined : own(into, field.name);
    const value = this.message(type, reader.from, reader.to, (before as Json | undefined) ?? {}, depth + 1);
    this.#put(into, field, value);
  }

  #entry(field: Field, { from, to }: WireReader, into: Json, depth: number): void {
    const entry = this.message(field.message as MessageType, from, to, {}, depth + 1);
    const values = (own(into, field.name) as Json | undefined) ?? {};
    set(values, String(entry.key ?? keyByDefault(field)), entry.value ?? valueByDefault(field));
    if (entry.unknownFields === true) into.unknownFields = true;
    set(into, field.name, values);
  }

  #put(into: Json, field: Field, value: unknown): void {
    if (++this.#values > MAX_VALUES) throw new ProtobufError("it has too many values");
    const before = field.repeated ? own(into, field.name) : undefined;
    if (Array.isArray(before)) before.push(value);
    else set(into, field.name, field.repeated ? [value] : value);
  }
}

const own = (json: Json, name: string): unknown => (Object.hasOwn(json, name) ? json[name] : undefined);

/** A map's key is the sender's to choose, `__proto__` too. */
function set(json: Json, name: string, value: unknown): void {
  if (name === "__proto__") {
    Object.defineProperty(json, name, { value, enumerable: true, writable: true, configurable: true });
  } else json[name] = value;
}

function textOf(bytes: Buffer, from: number, to: number, kind: "string" | "bytes"): string {
  if (kind === "bytes") return bytes.toString("base64", from, to);
  if (!isUtf8(bytes.subarray(from, to))) throw new ProtobufError("a text is not UTF-8");
  return bytes.toString("utf8", from, to);
}

function spoken(value: number | bigint | boolean, { kind, names }: Field): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return kind === "enum" ? (names?.get(Number(value)) ?? value) : value;
}

/** An entry may leave out what is empty or 0. */
const keyByDefault = ({ message }: Field): unknown => emptyOf(message?.fields.get(1));
const valueByDefault = ({ message }: Field): unknown => emptyOf(message?.fields.get(2));

function emptyOf(field: Field | undefined): unknown {
  if (field === undefined) return undefined;
  if (field.kind === "string" || field.kind === "bytes") return "";
  if (field.kind === "bool") return false;
  return field.message === undefined ? (field.names?.get(0) ?? 0) : {};
}
