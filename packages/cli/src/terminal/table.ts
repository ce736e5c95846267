import type { Paint, Style } from "./style.ts";

export interface Cell {
  readonly text: string;
  readonly paint?: Paint;
}

/** A table with aligned columns, two spaces between, no trailing spaces. An empty table is its `empty` line. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | Cell)[])[],
  style: Style,
  empty: string,
): readonly string[] {
  if (rows.length === 0) return [empty];
  const cells = rows.map((row) => row.map((cell) => (typeof cell === "string" ? { text: cell } : cell)));
  const widths = head.map((title, column) =>
    Math.max(width(title), ...cells.map((row) => width(row[column]?.text ?? ""))),
  );
  const line = (row: readonly Cell[]): string =>
    row
      .map(({ text, paint = (same: string) => same }, column) => {
        const last = column === row.length - 1;
        // Colour goes round the text and not round the padding, so that widths are counted without escapes.
        return paint(text) + (last ? "" : " ".repeat(Math.max(0, (widths[column] ?? 0) - width(text)) + 2));
      })
      .join("")
      .trimEnd();
  return [line(head.map((text) => ({ text, paint: style.faint }))), ...cells.map(line)];
}

/** Names and values, aligned: for one thing's details. */
export function details(rows: readonly (readonly [string, string | undefined])[], style: Style): readonly string[] {
  const present = rows.filter((row): row is readonly [string, string] => row[1] !== undefined && row[1] !== "");
  const widest = Math.max(0, ...present.map(([name]) => width(name)));
  return present.map(([name, value]) => `${style.faint(name.padEnd(widest))}  ${value}`);
}

function width(text: string): number {
  return [...text].length;
}
