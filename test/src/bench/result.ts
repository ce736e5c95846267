import type { FigureName } from "./options.ts";

/** One number held against what the issue asks of it. */
export interface Goal {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly bound: number;
  readonly sense: "at least" | "at most";
  readonly met: boolean;
}

export interface Table {
  readonly title: string;
  readonly note?: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface FigureResult {
  readonly figure: FigureName;
  readonly tables: readonly Table[];
  readonly goals: readonly Goal[];
  /** Every round, for the JSON. */
  readonly data: unknown;
  /** What must never be: lost bytes, refused requests, a wrong checksum. */
  readonly broken: readonly string[];
}

export function atLeast(what: string, value: number, bound: number, unit = "×"): Goal {
  return { what, value, unit, bound, sense: "at least", met: value >= bound };
}

export function atMost(what: string, value: number, bound: number, unit = "×"): Goal {
  return { what, value, unit, bound, sense: "at most", met: value <= bound };
}

/** Three significant digits, or whole numbers above a hundred; a dash for what was not measured. */
export function short(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "–";
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return value === 0 ? "0" : String(Number(value.toPrecision(3)));
}
