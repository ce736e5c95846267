import { readBody } from "../operations/read-body.ts";

const MAX_LINES = 40;
const MAX_DEPTH = 6;
/** Items of a list that are shown. */
const MAX_ITEMS = 2;
const MAX_COLUMNS = 200;

/**
 * What a request asks, with its values hidden: an approver sees its form and its size, and no customer's data. Names of
 * members are shown where they look like names.
 */
export function previewOf(body: Buffer, whole: boolean): readonly string[] {
  if (body.length === 0) return ["(no body)"];
  const read = readBody(body, whole);
  if (read.state !== "json")
    return [`‹${body.length.toLocaleString("en-US")}${whole ? "" : " and more"} bytes that are not read as JSON›`];
  const lines: string[] = [];
  show(read.value, "", 0, lines);
  const shown = lines.length > MAX_LINES ? [...lines.slice(0, MAX_LINES), "…"] : lines;
  return shown.map((line) => line.slice(0, MAX_COLUMNS));
}

function show(value: unknown, label: string, depth: number, lines: string[]): void {
  if (lines.length > MAX_LINES) return;
  const put = (text: string): number => lines.push(`${"  ".repeat(depth)}${label}${text}`);
  if (Array.isArray(value)) {
    put(`list of ${value.length.toLocaleString("en-US")}`);
    if (depth >= MAX_DEPTH) return;
    for (const item of value.slice(0, MAX_ITEMS)) show(item, "- ", depth + 1, lines);
    const more = value.length - MAX_ITEMS;
    if (more > 0) lines.push(`${"  ".repeat(depth + 1)}… ${more.toLocaleString("en-US")} more`);
  } else if (typeof value === "object" && value !== null) {
    const names = Object.keys(value);
    put(names.length === 0 ? "{}" : "");
    if (depth >= MAX_DEPTH) return;
    for (const name of names) show((value as Record<string, unknown>)[name], `${shownName(name)}: `, depth + 1, lines);
  } else put(hidden(value));
}

const shownName = (name: string): string =>
  /^[A-Za-z_][A-Za-z0-9_.-]{0,39}$/.test(name) ? name : `‹name, ${name.length} characters›`;

function hidden(value: unknown): string {
  if (typeof value === "string") return `‹text, ${value.length.toLocaleString("en-US")} characters›`;
  return value === null ? "null" : `‹${typeof value}›`;
}
