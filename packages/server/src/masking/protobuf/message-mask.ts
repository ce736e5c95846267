import { type Field, type FieldKind, fits, type MessageType } from "../../protobuf/message-type.ts";
import { checkScalars, eachScalar, sizeOf } from "../../protobuf/scalars.ts";
import { DELIMITED, MAX_DEPTH, ProtobufError, WireReader } from "../../protobuf/wire.ts";
import type { OnUnseen } from "../choose-mask.ts";
import type { Action } from "../plan.ts";
import { type LeafMask, type Place, uninspectable } from "./leaf-mask.ts";
import { Rewriting } from "./rewriting.ts";
import { TensorMask } from "./tensor-mask.ts";
import { holderOf, readTensors, type Tensors } from "./tensors.ts";

/** Types whose own fields' names say nothing: what they hold is called as what holds them. */
const TRANSPARENT: ReadonlySet<string> = new Set([
  ...["InferParameter", "ModelRepositoryParameter"].map((name) => `inference.${name}`),
  ...["Struct", "Value", "ListValue"].map((name) => `google.protobuf.${name}`),
  ...["String", "Int64", "UInt64", "Int32", "UInt32", "Double"].map((name) => `google.protobuf.${name}Value`),
]);
/** Descriptions of services, which are no data; they pass when nothing is found in them as they stand. */
const DESCRIPTORS = /^grpc\.reflection\.v1(?:alpha)?\.FileDescriptorResponse$/;

/** Kinds whose values are no numbers of anybody's. */
const harmless = (kind: FieldKind): boolean => kind === "bool" || kind === "enum" || kind === "float";

/** Goes over one message and those in it. */
export class MessageMask {
  readonly #bytes: Buffer;
  readonly #leaf: LeafMask;
  readonly #out: Rewriting;
  readonly #unseen: OnUnseen | undefined;
  /** Kept only where rules ask for places. */
  readonly #path: (string | number)[] = [];

  constructor(bytes: Buffer, leaf: LeafMask, unseen: OnUnseen | undefined) {
    this.#bytes = bytes;
    this.#leaf = leaf;
    this.#unseen = unseen;
    this.#out = new Rewriting(bytes);
  }

  run(type: MessageType): Buffer {
    this.#message(type, 0, this.#bytes.length, 0, "");
    return this.#out.done();
  }

  /** @param called what its fields are called when their own names say nothing. @returns whether something changed */
  #message(type: MessageType, from: number, to: number, depth: number, called: string): boolean {
    if (depth > MAX_DEPTH) throw new ProtobufError("it is nested too deeply");
    const holder = holderOf(type);
    const tensors = holder === undefined ? undefined : readTensors(type, this.#bytes, from, to);
    const transparent = TRANSPARENT.has(type.name);
    const counts = this.#leaf.tracks || tensors !== undefined ? new Map<number, number>() : undefined;
    const depthOfPath = this.#path.length;
    let changed = false;
    const reader = new WireReader(this.#bytes, from, to);
    while (reader.next()) {
      const field = type.fields.get(reader.number);
      if (field === undefined || !fits(field, reader.wire)) {
        if (this.#unknown(reader)) changed = true;
        continue;
      }
      const index = counts?.get(reader.number) ?? 0;
      counts?.set(reader.number, index + 1);
      if (this.#leaf.tracks && !(transparent && !field.repeated)) {
        if (!transparent) this.#path.push(field.name);
        if (field.repeated && field.kind !== "map") this.#path.push(index);
      }
      if (this.#value(type, field, reader, depth, transparent ? called : field.name, tensors, index)) changed = true;
      this.#path.length = depthOfPath;
    }
    return changed;
  }

  #value(
    type: MessageType,
    field: Field,
    reader: WireReader,
    depth: number,
    name: string,
    tensors: Tensors | undefined,
    index: number,
  ): boolean {
    const holder = tensors === undefined ? undefined : holderOf(type);
    if (holder?.tensors === field.number && tensors !== undefined) {
      return this.#tensor(field, reader, depth, tensors, index);
    }
    if (holder?.raw === field.number && tensors !== undefined) {
      return this.#tensorMask(tensors, tensors.raw[index] ?? -1, type).raw(reader);
    }
    if (field.kind === "map") return this.#entry(field, reader, depth);
    if (field.message !== undefined) {
      const { message } = field;
      return this.#inside(reader, () => this.#message(message, reader.from, reader.to, depth + 1, name));
    }
    const rule = this.#leaf.tracks ? this.#leaf.ruleFor(this.#path) : undefined;
    if (field.kind === "string") return this.#text(reader, name, rule);
    if (field.kind === "bytes") return this.#opaque(type, reader, rule);
    return this.#numbers(field.kind, reader, name, rule);
  }

  #inside(reader: WireReader, mask: () => boolean): boolean {
    const mark = this.#out.enter(reader.afterTag, reader.from);
    const changed = mask();
    this.#out.leave(mark, reader.to, changed);
    return changed;
  }

  #text({ afterTag, from, to }: WireReader, name: string, rule: Action | undefined): boolean {
    const masked = this.#leaf.text(this.#bytes, from, to, name, rule);
    if (masked !== undefined) this.#out.replaceDelimited(afterTag, to, masked);
    return masked !== undefined;
  }

  #numbers(kind: FieldKind, reader: WireReader, name: string, rule: Action | undefined): boolean {
    if (rule === undefined && harmless(kind)) {
      checkScalars(kind, reader);
      return false;
    }
    const zero = Buffer.alloc(Math.max(1, sizeOf(kind)));
    const each = (): boolean => {
      let changed = false;
      eachScalar(kind, reader, (value, from, to) => {
        if (!this.#leaf.number(value, name, rule)) return;
        this.#out.replace(from, to, zero);
        changed = true;
      });
      return changed;
    };
    return reader.wire === DELIMITED ? this.#inside(reader, each) : each();
  }

  /** An entry of a map: its key is a text, and its value's name. */
  #entry(field: Field, reader: WireReader, depth: number): boolean {
    const type = field.message as MessageType;
    const key = keyOf(type, this.#bytes, reader);
    if (this.#leaf.tracks) this.#path.push(key);
    return this.#inside(reader, () => {
      let changed = false;
      const entry = new WireReader(this.#bytes, reader.from, reader.to);
      while (entry.next()) {
        const part = type.fields.get(entry.number);
        if (part === undefined || !fits(part, entry.wire)) changed = this.#unknown(entry) || changed;
        else if (part.number === 1 && part.kind === "string") changed = this.#text(entry, "", undefined) || changed;
        else if (part.number === 1) changed = this.#numbers(part.kind, entry, "", undefined) || changed;
        else changed = this.#value(type, part, entry, depth + 1, key, undefined, 0) || changed;
      }
      return changed;
    });
  }

  /**
   * What no type describes may hold anything: a row of numbers of fixed length is a text to whoever wants to read it so. Only what
   * is empty passes.
   */
  #unknown({ wire, from, to }: WireReader): boolean {
    if (wire !== DELIMITED || to > from) this.#refuse("it has fields that its type does not have");
    return false;
  }

  #opaque(type: MessageType, { afterTag, from, to }: WireReader, rule: Action | undefined): boolean {
    if (from === to) return false;
    if (rule !== undefined) {
      const masked = this.#leaf.field(this.#bytes.toString("base64", from, to), rule);
      this.#out.replaceDelimited(afterTag, to, Buffer.from(masked));
      return true;
    }
    if (!DESCRIPTORS.test(type.name) || !this.#leaf.isClean(this.#bytes, from, to)) {
      this.#refuse("a field of it holds bytes that no type describes");
    }
    return false;
  }

  #refuse(why: string): void {
    if (this.#unseen === undefined) throw uninspectable(why);
    this.#unseen(why);
  }

  /** One tensor's own message: its contents have the tensor's name. */
  #tensor(field: Field, reader: WireReader, depth: number, tensors: Tensors, index: number): boolean {
    const message = field.message as MessageType;
    const mask = this.#tensorMask(tensors, index, undefined, field.name);
    const depthOfPath = this.#path.length;
    return this.#inside(reader, () => {
      let changed = false;
      const inner = new WireReader(this.#bytes, reader.from, reader.to);
      while (inner.next()) {
        const part = message.fields.get(inner.number);
        if (part === undefined || !fits(part, inner.wire)) changed = this.#unknown(inner) || changed;
        else if (part.message?.name === CONTENTS) {
          changed = this.#inside(inner, () => mask.contents(part.message as MessageType, inner)) || changed;
        } else if (part.number === SHAPE) checkScalars(part.kind, inner);
        else {
          if (this.#leaf.tracks) this.#path.push(part.name);
          changed = this.#value(message, part, inner, depth + 1, part.name, undefined, 0) || changed;
          this.#path.length = depthOfPath;
        }
      }
      return changed;
    });
  }

  #tensorMask(tensors: Tensors, index: number, holder: MessageType | undefined, field?: string): TensorMask {
    const tensor = tensors.all[index] ?? NONE;
    if (tensor.shared) this.#refuse("its data lies in shared memory");
    const list = field ?? holder?.fields.get(holderOf(holder)?.tensors ?? 0)?.name ?? "";
    const path: Place = [...this.#path];
    const unknown = (reader: WireReader): boolean => this.#unknown(reader);
    return new TensorMask(this.#bytes, this.#leaf, this.#out, tensor, [path, [list, index, "data"]], {
      refuse: (why) => this.#refuse(why),
      unknown,
    });
  }
}

const NONE = { name: "", datatype: "", shared: false };
const CONTENTS = "inference.InferTensorContents";
const SHAPE = 3;

/** An entry's key, as a name. */
function keyOf(type: MessageType, bytes: Buffer, { from, to }: WireReader): string {
  const entry = new WireReader(bytes, from, to);
  let key = "";
  while (entry.next()) {
    if (entry.number !== 1) continue;
    if (entry.wire === DELIMITED) key = bytes.toString("utf8", entry.from, entry.to);
    else if (type.fields.get(1) !== undefined) {
      eachScalar(type.fields.get(1)?.kind ?? "uint64", entry, (value) => {
        key = String(value);
      });
    }
  }
  return key;
}
