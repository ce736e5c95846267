import type { BodyReading } from "./operation.ts";

const MAX_DEPTH = 100;
const NONE: BodyReading = { state: "none" };
const PARTIAL: BodyReading = { state: "partial" };
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads a body as strict JSON: what two parsers could read differently is no JSON here. A member that stands twice is the
 * classic: a gateway counts the first `inputs`, the model server computes the second.
 */
export function readBody(bytes: Buffer, ended: boolean): BodyReading {
  if (!ended) return PARTIAL;
  if (bytes.length === 0) return NONE;
  let text: string;
  try {
    text = UTF8.decode(bytes);
  } catch {
    return { state: "other", reason: "it is not UTF-8" };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { state: "other", reason: "it is not JSON" };
  }
  const problem = ambiguity(text);
  return problem === undefined ? { state: "json", value } : { state: "other", reason: problem };
}

interface Level {
  /** Of an object; undefined: an array. */
  readonly names: Set<string> | undefined;
}

/** What in this text, which is JSON, another parser might read in another way. One pass. */
function ambiguity(text: string): string | undefined {
  const stack: Level[] = [];
  /** The next string is a member's name. */
  let expectsName = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: {
        const end = stringEnd(text, at);
        if (expectsName) {
          expectsName = false;
          const problem = nameProblem(text.slice(at, end + 1), stack.at(-1)?.names);
          if (problem !== undefined) return problem;
        }
        at = end;
        break;
      }
      case 0x7b:
        stack.push({ names: new Set() });
        if (stack.length > MAX_DEPTH) return "it is nested too deeply";
        expectsName = true;
        break;
      case 0x5b:
        stack.push({ names: undefined });
        if (stack.length > MAX_DEPTH) return "it is nested too deeply";
        expectsName = false;
        break;
      case 0x7d:
      case 0x5d:
        stack.pop();
        expectsName = false;
        break;
      case 0x2c:
        expectsName = stack.at(-1)?.names !== undefined;
        break;
    }
  }
  return undefined;
}

function nameProblem(quoted: string, names: Set<string> | undefined): string | undefined {
  const name = quoted.includes("\\") ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
  if (!name.isWellFormed()) return "a member's name is not Unicode";
  if (names?.has(name) === true) return "a member stands twice in one object";
  names?.add(name);
  return undefined;
}

/** Index of the quote that ends the string that begins at `start`. The text is JSON, so there is one. */
function stringEnd(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end;
}

function isEscaped(text: string, at: number): boolean {
  let slashes = 0;
  while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes += 1;
  return slashes % 2 === 1;
}
