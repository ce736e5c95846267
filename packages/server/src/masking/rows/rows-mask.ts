import { locateCells, parseRowDescription } from "@hoopish/protocol/postgres";
import type { BodyMasker } from "../masker.ts";
import type { MaskPlan } from "../plan.ts";
import { LeafMask, uninspectable } from "../protobuf/leaf-mask.ts";
import { Tally } from "../tally.ts";
import { type Column, columnOf, isRow } from "./column.ts";
import { DullTexts } from "./dull.ts";
import { Edits } from "./edits.ts";
import { maskNotice } from "./notice.ts";
import { wholeInBinary, wholeInText } from "./numbers.ts";
import { maskTexts } from "./text-array.ts";

const NOTHING = Buffer.alloc(0);
const DATA_ROW = 0x44;
const MAX_COLUMNS = 2_048;
/** Places and lengths of one row's cells: it is read to its end in one go, so that one for all will do. */
const CELLS = new Int32Array(2 * MAX_COLUMNS);

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
  readonly #dull: DullTexts;
  readonly #edits = new Edits();
  #columns: readonly Column[] = [];
  /** Of the columns that were described none has to be looked at. Rows that nobody described are refused. */
  #idle = false;
  /** The last text that was passed over: the next one's words before it, should somebody look. */
  #passed: Column | undefined;
  #passedFrom = 0;
  #passedTo = 0;
  /** The last text, or its name, may say what a number after it is. */
  #said = false;

  constructor(plan: MaskPlan, options: RowsMaskOptions) {
    this.#plan = plan;
    this.#options = options;
    this.tally = new Tally(plan);
    this.#leaf = new LeafMask(plan, this.tally);
    this.#numbers = new LeafMask(plan, this.tally);
    this.#dull = new DullTexts(plan);
  }

  /** @throws HoopishError response_uninspectable, policy_blocked */
  push(bytes: Buffer): Buffer {
    if (this.#plan.analyze !== undefined) throw uninspectable("an analyzer is not asked about rows");
    const edits = this.#edits.begin(bytes);
    let at = 0;
    while (at < bytes.length) {
      if (at + 5 > bytes.length) throw uninspectable("a message is cut off");
      const end = at + 1 + bytes.readInt32BE(at + 1);
      if (end > bytes.length || end < at + 5) throw uninspectable("a message is cut off");
      const type = bytes[at] as number;
      if (type !== DATA_ROW) {
        const masked = this.#message(type, bytes, at + 5, end);
        if (masked !== undefined) edits.put(at, end, masked);
      } else if (!this.#idle) this.#row(bytes, at, end);
      at = end;
    }
    this.#remember(bytes);
    return edits.end();
  }

  end(): Buffer {
    return NOTHING;
  }

  /** @returns what stands for it; undefined: it stays */
  #message(type: number, bytes: Buffer, from: number, end: number): Buffer | undefined {
    switch (type) {
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
        return maskNotice("S", bytes.subarray(from, end), this.#plan, this.tally);
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

  /** A DataRow that stands in `[start, end)`. */
  #row(bytes: Buffer, start: number, end: number): void {
    const columns = this.#columns;
    const count = locateCells(bytes, CELLS, start + 5, end);
    if (count !== columns.length) throw uninspectable("a row has not the columns that were described");
    const edits = this.#edits;
    edits.beginMessage(start);
    for (let i = 0; i < count; i++) {
      const column = columns[i] as Column;
      const length = CELLS[i * 2 + 1] as number;
      if (length <= 0 || column.kind === "pass" || column.kind === "unseen") continue;
      const at = CELLS[i * 2] as number;
      if (column.mayBeRow && isRow(bytes, at)) this.#unseen("a row in a cell: let the columns come as columns");
      if (column.mayBeDull && this.#isDull(column, bytes, at, at + length)) continue;
      if (column.kind !== "number") {
        this.#remember(bytes);
        if (!column.mayBeDull) this.#said = true;
      }
      const masked = this.#cell(column, bytes, at, at + length);
      if (masked !== undefined) edits.putCell(at, length, masked === "null" ? undefined : masked);
    }
    edits.endMessage();
  }

  #isDull(column: Column, bytes: Buffer, from: number, to: number): boolean {
    const isDull = this.#dull.isDull(bytes, from, to, this.#said || column.says);
    this.#said = this.#dull.said || column.says;
    if (isDull) {
      this.#passed = column;
      this.#passedFrom = from;
      this.#passedTo = to;
    }
    return isDull;
  }

  /** Says what was passed over last, before somebody looks, or the bytes are gone. */
  #remember(bytes: Buffer): void {
    if (this.#passed !== undefined) this.#leaf.pass(bytes, this.#passedFrom, this.#passedTo, this.#passed.name);
    this.#passed = undefined;
  }

  /** @returns undefined: it stays */
  #cell(
    { kind, name, typeOid, rule, holdsText, binary }: Column,
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
      case "number": {
        const number = binary ? wholeInBinary(typeOid, body, from, to) : wholeInText(typeOid, body, from, to);
        return number !== undefined && this.#numbers.number(number, name) ? "null" : undefined;
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

/** What comes in another encoding would not be seen for what it is. */
function refuseEncoding(status: string): void {
  const [name, value = ""] = status.split("\0");
  if (name === "client_encoding" && !/^utf-?8$/i.test(value))
    throw uninspectable("it comes in another encoding than UTF-8");
}
