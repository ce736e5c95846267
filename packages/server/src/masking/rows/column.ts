import type { ColumnDescription } from "@hoopish/protocol/postgres";
import { typeOfMember } from "../members.ts";
import type { Action, MaskPlan } from "../plan.ts";
import type { LeafMask } from "../protobuf/leaf-mask.ts";
import type { PiiType } from "../types.ts";
import { nameSays } from "./dull.ts";

/**
 * How cells of a column are looked at. `pass`: they hold no text and nobody's number. `text`: they are texts, or written as
 * texts. `jsonb`: texts after a byte of version. `number`: numbers, of which whole ones may be somebody's. `null`: what they hold
 * becomes NULL. `texts`: an array of texts in its binary form. `unseen`: nobody can tell what they hold.
 */
export type ColumnKind = "pass" | "text" | "jsonb" | "number" | "null" | "texts" | "unseen";

export interface Column {
  readonly name: string;
  readonly typeOid: number;
  readonly kind: ColumnKind;
  /** The cells are texts, so that what stands for a value can stand in them. */
  readonly holdsText: boolean;
  /** What a rule says of the whole column. */
  readonly rule: Action | undefined;
  readonly binary: boolean;
  /** A text of it that holds nothing but small letters and few digits need not be looked at: its name says nothing of it. */
  readonly mayBeDull: boolean;
  /** Its cells may be whole rows, in which no name says what a value is. */
  readonly mayBeRow: boolean;
  /** Its name may say what a number beside it is. */
  readonly says: boolean;
}

const BOOL = 16;
const BYTEA = 17;
const INT8 = 20;
const INT2 = 21;
const INT4 = 23;
const OID = 26;
const FLOAT4 = 700;
const FLOAT8 = 701;
const JSONB = 3802;
const DATE = 1082;
/** Escapes in it may hide anything. */
const JSON_TYPES: ReadonlySet<number> = new Set([114, JSONB]);
const NUMERIC = 1700;
/** money, time, timestamp, timestamptz, interval, timetz, uuid, tid, xid, cid, void, and arrays of such. */
const NO_TEXT: ReadonlySet<number> = new Set([
  ...[BOOL, 790, 1083, 1114, 1184, 1186, 1266, 2950, 27, 28, 29, 2278],
  ...[1000, 1021, 1022, 1115, 1185, 1187, 2951],
]);
const NUMBERS: ReadonlySet<number> = new Set([INT2, INT4, OID, INT8, FLOAT4, FLOAT8, NUMERIC]);
const NUMBER_ARRAYS: ReadonlySet<number> = new Set([1005, 1007, 1016, 1231]);
/** record, record[]. */
const RECORDS: ReadonlySet<number> = new Set([2249, 2287]);
/** Types that somebody has made begin here (src/include/access/transam.h: FirstNormalObjectId). */
const FIRST_OWN = 16_384;
const ADDRESSES: ReadonlySet<number> = new Set([869, 650]);
/** Types whose binary form is their text: char, name, text, json, xml, unknown, bpchar, varchar. */
const BINARY_TEXT: ReadonlySet<number> = new Set([18, 19, 25, 114, 142, 705, 1042, 1043]);
const TEXT_ARRAYS: ReadonlySet<number> = new Set([199, 1003, 1009, 1014, 1015]);

export function columnOf(description: ColumnDescription, leaf: LeafMask, plan: MaskPlan): Column {
  const { name, typeOid, format } = description;
  const rule = leaf.ruleFor([name]);
  const { wanted } = plan;
  const kind = kindOf(typeOid, format, rule, wanted);
  const named = typeOfMember(name, "", 0, -1, wanted) !== undefined;
  // The types whose text form is a number's, a time's or a truth value's: a word in brackets is none of these.
  const typed = NO_TEXT.has(typeOid) || NUMBERS.has(typeOid) || typeOid === DATE || ADDRESSES.has(typeOid);
  return {
    name,
    typeOid,
    kind,
    rule,
    holdsText: !typed && kind !== "null",
    binary: format === 1,
    mayBeRow: kind === "text" && rule === undefined && (RECORDS.has(typeOid) || typeOid >= FIRST_OWN),
    says: nameSays(name),
    mayBeDull: kind === "text" && rule === undefined && !named && !JSON_TYPES.has(typeOid),
  };
}

function kindOf(type: number, format: number, rule: Action | undefined, wanted: ReadonlySet<PiiType>): ColumnKind {
  const binary = format === 1;
  if (type === BYTEA) return rule === undefined ? "unseen" : "null";
  if (rule !== undefined) return binary && !BINARY_TEXT.has(type) ? "null" : "text";
  if (NO_TEXT.has(type)) return "pass";
  if (NUMBERS.has(type)) return "number";
  if (NUMBER_ARRAYS.has(type)) return binary ? "pass" : "text";
  if (type === DATE) return binary ? "pass" : "text";
  if (!binary) return "text";
  if (ADDRESSES.has(type)) return wanted.has("IP_ADDRESS") ? "null" : "pass";
  if (BINARY_TEXT.has(type)) return "text";
  if (type === JSONB) return "jsonb";
  return TEXT_ARRAYS.has(type) ? "texts" : "unseen";
}

const OPEN = 0x28;

/** Whether the text of a cell is a row's, or an array's of rows: `(1,Maria)`, `{"(1,Maria)"}`. */
export function isRow(bytes: Uint8Array, from: number): boolean {
  if (bytes[from] === OPEN) return true;
  return bytes[from] === 0x7b && (bytes[from + 1] === OPEN || (bytes[from + 1] === 0x22 && bytes[from + 2] === OPEN));
}
