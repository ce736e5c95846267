export type CsvValue = string | number | undefined;

/** One line of comma-separated values (RFC 4180 §2). */
export const csvLine = (values: readonly CsvValue[]): string => `${values.map(csvCell).join(",")}\r\n`;

/**
 * A caller chooses paths, models and names: a cell that a spreadsheet would take for a formula gets an apostrophe in
 * front (OWASP, CSV Injection: cells that begin with = + - @, tab or carriage return).
 */
export function csvCell(value: CsvValue): string {
  if (value === undefined) return "";
  const text = String(value);
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
