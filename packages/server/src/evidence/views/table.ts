import type { StoredRecord } from "@hoopish/protocol";
import { type CsvValue, csvLine } from "../csv.ts";
import type { Entry } from "./entry.ts";
import type { View } from "./view.ts";

/** A column: its name, and what it holds of a record. */
export type Column = readonly [name: string, value: (record: StoredRecord) => CsvValue];

/** A table of the records of some kinds, one row each, with index and leaf hash (hex) in front. */
export function recordTable(kinds: readonly string[], columns: readonly Column[]): View {
  const shown = ({ record }: Entry): boolean => kinds.includes(record.type.slice(0, record.type.indexOf(".")));
  return {
    head: csvLine(["index", "leafHash", ...columns.map(([name]) => name)]),
    add: (entry) =>
      shown(entry) ? csvLine([entry.index, entry.leafHash, ...columns.map(([, value]) => value(entry.record))]) : "",
    addOpen: () => "",
  };
}

/**
 * A record's member by name: types share columns, and a log may hold types that this program does not know yet. What is
 * neither text nor number has no place in a cell.
 */
export function member(record: StoredRecord, name: string): CsvValue {
  const value = (record as unknown as Readonly<Record<string, unknown>>)[name];
  return typeof value === "string" || typeof value === "number" ? value : undefined;
}

/** A column that holds the member of the same name, or the first of `others` that is there. */
export const column = (name: string, ...others: readonly string[]): Column => [
  name,
  (record) => {
    const found = [name, ...others].find((one) => member(record, one) !== undefined);
    return found === undefined ? undefined : member(record, found);
  },
];

/** Who acted. */
export const ACTOR_COLUMNS: readonly Column[] = [
  ["user", ({ actor }) => actor?.name],
  ["subject", ({ actor }) => actor?.sub],
  ["issuer", ({ actor }) => actor?.iss],
  ["kind", ({ actor }) => actor?.kind],
];
