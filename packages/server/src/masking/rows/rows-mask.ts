import { locateCells, message, parseRowDescription } from "@hoopish/protocol/postgres";
import type { BodyMasker } from "../masker.ts";
import type { MaskPlan } from "../plan.ts";
import { LeafMask, uninspectable } from "../protobuf/leaf-mask.ts";
import { Tally } from "../tally.ts";
import { type Column, columnOf } from "./column.ts";
import { dullDigits, isDull } from "./dull.ts";
import { maskNotice } from "./notice.ts";
import { maskTexts } from "./text-array.ts";

const NOTHING = Buffer.alloc(0);
const NULL = -1;
const MAX_COLUMNS = 2_048;

export interface RowsMaskOptions {
  readonly uninspectable: "block" | "allow";
  /** What cannot be looked into passes, where that is allowed, and this hears why. */
  readonly unseen: (why: string) => void;
}

/**
 * Masks what a PostgreSQL server answers: each cell with its column's name before it, and the words of errors and notices. What is
 * pushed are whole messages, of which each that is not altered goes on as the bytes that it came in. Columns are known from the
 * last RowDescription, which the caller has made come before all rows.
 *
 * What has no place in a column's type (a word in brackets among numbers) becomes NULL.
 */
export class RowsMask implements BodyMasker {
  readonly tally: Tally;
  readonly #plan: MaskPlan;
  readonly #options: RowsMaskOptions;
  readonly #leaf: LeafMask;
  /** Numbers are known by their column's name alone, which is looked at once. */
  readonly #numbers: LeafMask;
  readonly #dullDigits: number;
  #columns: readonly Column[] = [];
  /** Of the columns that were described none has to be looked at. Rows that nobody described are refused. */
  #idle = false;
  readonly #cells = new Int32Array(2 * MAX_COLUMNS);

  constructor(plan: MaskPlan, options: RowsMaskOptions) {
    this.#plan = plan;
    this.#options = options;
    this.tally = new Tally(plan);
    this.#leaf = new LeafMask(plan, this.tally);
    this.#numbers = new LeafMask(plan, this.tally);
    this.#dullDigits = dullDigits(plan);
  }

  /** @throws HoopishError response_uninspectable, policy_blocked */
  push(bytes: Buffer): Buffer {
    if (this.#plan.analyze !== undefined) throw uninspectable("an analyzer is not asked about rows");
    const out: Buffer[] = [];
    let from = 0;
    let at = 0;
    while (at < bytes.length) {
      if (at + 5 > bytes.length) throw uninspectable("a message is cut off");
      const end = at + 1 + bytes.readInt32BE(at + 1);
      if (end > bytes.length) throw uninspectable("a message is cut off");
      const masked = this.#message(bytes[at] as number, bytes, at + 5, end);
      if (masked !== undefined) {
        if (at > from) out.push(bytes.subarray(from, at));
        out.push(masked);
        from = end;
      }
      at = end;
    }
    if (from === 0) return bytes;
    if (from < bytes.length) out.push(bytes.subarray(from));
    return out.length === 1 ? (out[0] as Buffer) : Buffer.concat(out);
  }

  end(): Buffer {
    return NOTHING;
  }

  /** @returns what stands for it; undefined: it stays */
  #message(type: number, bytes: Buffer, from: number, end: number): Buffer | undefined {
    switch (type) {
      case 0x44 /* D */:
        return this.#idle ? undefined : this.#row(bytes, from, end);
      case 0x54 /* T */:
        this.#describe(bytes.subarray(from, end));
        return undefined;
      case 0x45 /* E */:
      case 0x4e /* N */:
        return maskNotice(String.fromCharCode(type), bytes.subarray(from, end), this.#plan, this.tally);
      case 0x41 /* A */:
        return maskNotice("A", bytes.subarray(from, end), this.#plan, this.tally);
      case 0x64 /* d */:
      case 0x48 /* H */:
      case 0x47 /* G */:
      case 0x57 /* W */:
        this.#unseen("the data of a COPY");
        return undefined;
      case 0x56 /* V */:
        this.#unseen("the result of a function call");
        return undefined;
      case 0x53 /* S */:
        refuseEncoding(bytes.toString("latin1", from, end));
        return undefined;
      default:
        return undefined;
    }
  }

  #describe(body: Buffer): void {
    const descriptions = parseRowDescription(body);
    if (descriptions.length > MAX_COLUMNS) throw uninspectable("it has too many columns");
    this.#columns = descriptions.map((description) => columnOf(description, this.#leaf, this.#plan));
    const unseen = this.#columns.find(({ kind }) => kind === "unseen");
    if (unseen !== undefined) this.#unseen("a column whose type is binary");
    this.#idle = this.#columns.every(({ kind }) => kind === "pass" || kind === "unseen");
  }

  #unseen(what: string): void {
    if (this.#options.uninspectable === "block") throw uninspectable(what);
    this.#options.unseen(what);
  }

  #row(bytes: Buffer, from: number, end: number): Buffer | undefined {
    const cells = this.#cells;
    const body = bytes.subarray(from, end);
    const count = locateCells(body, cells);
    if (count !== this.#columns.length) throw uninspectable("a row has not the columns that were described");
    let parts: Buffer[] | undefined;
    let copied = 0;
    for (let i = 0; i < count; i++) {
      const column = this.#columns[i] as Column;
      const length = cells[i * 2 + 1] as number;
      if (length <= 0 || column.kind === "pass" || column.kind === "unseen") continue;
      const at = cells[i * 2] as number;
      if (column.mayBeDull && isDull(body, at, at + length, this.#dullDigits)) {
        this.#leaf.pass(body, at, at + length, column.name);
        continue;
      }
      const masked = this.#cell(column, body, at, at + length);
      if (masked === undefined) continue;
      parts ??= [];
      parts.push(body.subarray(copied, at - 4), int32(masked === "null" ? NULL : masked.length));
      if (masked !== "null") parts.push(masked);
      copied = at + length;
    }
    if (parts === undefined) return undefined;
    parts.push(body.subarray(copied));
    return message("D", ...parts);
  }

  /** @returns undefined: it stays */
  #cell(
    { kind, name, rule, holdsText, binary }: Column,
    body: Buffer,
    from: number,
    to: number,
  ): Buffer | "null" | undefined {
    const leaf = this.#leaf;
    switch (kind) {
      case "null":
        if (rule !== undefined) leaf.field(body.toString("hex", from, to), rule);
        else this.tally.replace("IP_ADDRESS", body.toString("hex", from, to));
        return "null";
      case "int": {
        if (binary) return this.#numbers.number(binaryNumber(body, from, to), name) ? "null" : undefined;
        if (to - from < 6 || to - from > 19 || !isDigits(body, from, to)) return undefined;
        return this.#numbers.number(decimal(body, from, to), name) ? "null" : undefined;
      }
      case "jsonb": {
        const masked = leaf.text(body, from + 1, to, name);
        return masked && Buffer.concat([body.subarray(from, from + 1), masked]);
      }
      case "texts":
        return maskTexts(body.subarray(from, to), (text) => leaf.text(text, 0, text.length, name));
      default: {
        const masked = leaf.text(body, from, to, name, rule);
        return masked === undefined || holdsText ? masked : "null";
      }
    }
  }
}

/** As a number where it is exact. */
function decimal(bytes: Buffer, from: number, to: number): number | bigint {
  if (to - from > 15) return BigInt(bytes.toString("latin1", from, to));
  let value = 0;
  for (let at = from; at < to; at++) value = value * 10 + (bytes[at] as number) - 0x30;
  return value;
}

function binaryNumber(bytes: Buffer, from: number, to: number): number | bigint {
  switch (to - from) {
    case 2:
      return bytes.readInt16BE(from);
    case 4:
      return bytes.readInt32BE(from);
    case 8:
      return bytes.readBigInt64BE(from);
    default:
      throw uninspectable("a number has no good length");
  }
}

function isDigits(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number;
    if (byte < 0x30 || byte > 0x39) return false;
  }
  return true;
}

/** What comes in another encoding would not be seen for what it is. */
function refuseEncoding(status: string): void {
  const [name, value = ""] = status.split("\0");
  if (name === "client_encoding" && !/^utf-?8$/i.test(value))
    throw uninspectable("it comes in another encoding than UTF-8");
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}
