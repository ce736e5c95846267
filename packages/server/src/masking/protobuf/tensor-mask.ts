import { fits, type MessageType } from "../../protobuf/message-type.ts";
import { checkScalars, eachScalar, sizeOf } from "../../protobuf/scalars.ts";
import { DELIMITED, WireReader } from "../../protobuf/wire.ts";
import type { Action } from "../plan.ts";
import type { LeafMask, Place } from "./leaf-mask.ts";
import type { Rewriting } from "./rewriting.ts";
import { NUMERIC, type Tensor } from "./tensors.ts";

/** What the message around a tensor does about what cannot be read. */
interface Around {
  readonly refuse: (why: string) => void;
  readonly unknown: (reader: WireReader) => boolean;
}

/**
 * Masks the values of one tensor, whose name is theirs. Elements of BYTES are texts. Of numbers those that are long enough to be
 * somebody's (INT32, UINT32, INT64, UINT64, FP64) are looked at as numbers of any message are; floats of 32 bits and less are
 * passed over by their length. What a rule names becomes 0, or the rule's text.
 */
export class TensorMask {
  readonly #bytes: Buffer;
  readonly #leaf: LeafMask;
  readonly #out: Rewriting;
  readonly #tensor: Tensor;
  /** Under these the elements' indexes stand. */
  readonly #places: readonly Place[];
  readonly #around: Around;
  #index = 0;
  readonly #indexed: boolean;
  /** Where rules do not tell elements apart: what they say of all. */
  #ofAll: { readonly rule: Action | undefined } | undefined;

  constructor(bytes: Buffer, leaf: LeafMask, out: Rewriting, tensor: Tensor, places: readonly Place[], around: Around) {
    this.#bytes = bytes;
    this.#leaf = leaf;
    this.#out = out;
    this.#tensor = tensor;
    this.#places = [[tensor.name], ...places];
    this.#around = around;
    this.#indexed = leaf.indexed;
  }

  /** A field of raw contents. @returns whether something changed. @throws HoopishError */
  raw(reader: WireReader): boolean {
    const { datatype } = this.#tensor;
    const { from, to } = reader;
    if (from === to) return false;
    const numbers = NUMERIC.get(datatype);
    if (numbers === undefined && datatype !== "BYTES") {
      this.#around.refuse("a tensor holds values of a type that is not known");
      return false;
    }
    if (numbers === undefined) return this.#inside(reader, () => this.#elements(from, to));
    if ((to - from) % numbers.bytes !== 0) {
      this.#around.refuse("a tensor ends in the middle of a value");
      return false;
    }
    if (numbers.kind !== undefined) return this.#numbers(numbers.kind, reader);
    return this.#named() && this.#ruled(reader, numbers.bytes);
  }

  /** InferTensorContents. */
  contents(type: MessageType, { from, to }: WireReader): boolean {
    let changed = false;
    const reader = new WireReader(this.#bytes, from, to);
    while (reader.next()) {
      const field = type.fields.get(reader.number);
      if (field === undefined || !fits(field, reader.wire)) changed = this.#around.unknown(reader) || changed;
      else if (field.kind === "bytes") changed = this.#element(reader) || changed;
      else if (this.#named() || !(field.kind === "float" || field.kind === "bool")) {
        changed =
          (reader.wire === DELIMITED
            ? this.#inside(reader, () => this.#numbers(field.kind, reader))
            : this.#numbers(field.kind, reader)) || changed;
      } else checkScalars(field.kind, reader);
    }
    return changed;
  }

  #inside(reader: WireReader, mask: () => boolean): boolean {
    const mark = this.#out.enter(reader.afterTag, reader.from);
    const changed = mask();
    this.#out.leave(mark, reader.to, changed);
    return changed;
  }

  /** @returns the rule that names the element that comes now */
  #rule(): Action | undefined {
    const index = this.#index++;
    if (!this.#leaf.tracks) return undefined;
    if (this.#indexed) return this.#ruleAt(index);
    this.#ofAll ??= { rule: this.#ruleAt(0) };
    return this.#ofAll.rule;
  }

  /** Whether a rule may name any of the elements. */
  #named(): boolean {
    return this.#leaf.tracks && (this.#indexed || this.#ruleAt(0) !== undefined);
  }

  #ruleAt(index: number): Action | undefined {
    return this.#leaf.ruleFor(...this.#places.map((place) => [...place, index]));
  }

  #element({ afterTag, from, to }: WireReader): boolean {
    const masked = this.#leaf.text(this.#bytes, from, to, this.#tensor.name, this.#rule());
    if (masked !== undefined) this.#out.replaceDelimited(afterTag, to, masked);
    return masked !== undefined;
  }

  /** Each with four bytes of length (little-endian) before it. */
  #elements(from: number, to: number): boolean {
    let changed = false;
    let at = from;
    while (at + 4 <= to) {
      const end = at + 4 + this.#bytes.readUInt32LE(at);
      if (end > to) break;
      const masked = this.#leaf.text(this.#bytes, at + 4, end, this.#tensor.name, this.#rule());
      if (masked !== undefined) {
        const length = Buffer.allocUnsafe(4);
        length.writeUInt32LE(masked.length);
        this.#out.replace(at, at + 4, length);
        this.#out.replace(at + 4, end, masked);
        changed = true;
      }
      at = end;
    }
    if (at !== to) this.#around.refuse("the lengths in a tensor do not fit it");
    return changed;
  }

  #numbers(kind: Parameters<typeof eachScalar>[0], reader: Parameters<typeof eachScalar>[1]): boolean {
    let changed = false;
    const zero = Buffer.alloc(Math.max(1, sizeOf(kind)));
    const unlikely = kind === "float" || kind === "bool";
    eachScalar(kind, reader, (value, from, to) => {
      const rule = this.#rule();
      if ((unlikely && rule === undefined) || !this.#leaf.number(value, this.#tensor.name, rule)) return;
      this.#out.replace(from, to, zero);
      changed = true;
    });
    return changed;
  }

  /** Values that are looked at only where rules name them. */
  #ruled({ from, to }: WireReader, size: number): boolean {
    let changed = false;
    for (let at = from; at < to; at += size) {
      const rule = this.#rule();
      if (rule === undefined) continue;
      this.#leaf.field(this.#bytes.toString("hex", at, at + size), rule);
      this.#out.replace(at, at + size, Buffer.alloc(size));
      changed = true;
    }
    return changed;
  }
}
