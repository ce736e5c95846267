// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${…} is what a configuration says, not a template of ours
import { type Document, type ErrorCode, LineCounter, parseDocument } from "yaml";
import type { Finding } from "./mistake.ts";

export interface YamlText {
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
  readonly findings: readonly Finding[];
  /** False when the syntax is broken: what the parser then guesses is not worth checking. */
  readonly sound: boolean;
}

/**
 * YAML 1.2, core schema. No merge keys (`<<` lets a mapping mean more than what is written in it), no tags (they make a
 * value another type than it looks), one document. Duplicate keys are found in tree.ts, in linear time.
 */
export function parseYaml(text: string): YamlText {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    schema: "core",
    merge: false,
    resolveKnownTags: false,
    stringKeys: true,
    uniqueKeys: false,
    // "silent" would also keep silent about a second document.
    logLevel: "error",
  });
  const problems = [...document.errors, ...document.warnings];
  if (problems.some((problem) => problem.code === "RESOURCE_EXHAUSTION")) {
    return { document, lines, sound: false, findings: [{ path: [], offset: 0, message: "nested too deeply" }] };
  }
  const lost = problems.findIndex(({ code }) => !CONTAINED.has(code));
  const telling = problems.filter(({ code }, index) => lost < 0 || index <= lost || code === "TAB_AS_INDENT");
  const findings = telling.map((problem) => {
    const offset = problem.pos[0];
    return { path: [], offset, message: SYNTAX[problem.code] + substitutionHint(text, offset, problem.code) };
  });
  return { document, lines, findings, sound: lost < 0 };
}

/**
 * Mistakes that end where they stand: what is around them is still what was written. After any other the parser has lost
 * the thread, and what it then finds out of place (but for more tabs) only follows from the first.
 */
const CONTAINED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "TAG_RESOLVE_FAILED",
  "BAD_DQ_ESCAPE",
  "BAD_SCALAR_START",
]);

/** Our own words: the parser's quote the file, and are written for those who know the grammar. */
const SYNTAX: Readonly<Record<ErrorCode, string>> = {
  ALIAS_PROPS: "an alias (*name) takes neither a tag nor an anchor",
  BAD_ALIAS: "this alias or anchor has no usable name",
  BAD_COLLECTION_TYPE: "this tag does not fit what follows it",
  BAD_DIRECTIVE: "this directive (%…) is not understood",
  BAD_DQ_ESCAPE: "this \\ escape does not exist in a \"…\" text; in '…' a backslash is a backslash",
  BAD_INDENT: "the indentation does not fit what stands above",
  BAD_PROP_ORDER: "anchors and tags stand before the value",
  BAD_SCALAR_START: "a text that begins with this character must be in quotes",
  BLOCK_AS_IMPLICIT_KEY: 'a second ": " on one line; put the value in quotes',
  BLOCK_IN_FLOW: "a block cannot stand within [ ] or { }",
  DUPLICATE_KEY: "this key stands here twice",
  IMPOSSIBLE: "this is not YAML",
  KEY_OVER_1024_CHARS: "this key is longer than 1024 characters",
  MISSING_CHAR: "something is missing here: a closing quote or bracket, a comma, or the space after a colon",
  MULTILINE_IMPLICIT_KEY: "a key must be on one line; is a quote or a colon missing above?",
  MULTIPLE_ANCHORS: "a value has one anchor at most",
  MULTIPLE_DOCS: "a configuration is one YAML document; a second one (---) begins here",
  MULTIPLE_TAGS: "a value has one tag at most",
  NON_STRING_KEY: "a key must be a text",
  RESOURCE_EXHAUSTION: "nested too deeply",
  TAB_AS_INDENT: "a tab cannot indent YAML; use spaces",
  TAG_RESOLVE_FAILED: "tags (!…) have no meaning in this configuration",
  UNEXPECTED_TOKEN: "this is out of place",
};

/** `[${env:X}]` reads as `$` and a mapping: within brackets a substitution needs quotes. */
function substitutionHint(text: string, offset: number, code: ErrorCode): string {
  if (code !== "MISSING_CHAR" && code !== "UNEXPECTED_TOKEN") return "";
  const before = text.lastIndexOf("\n", offset - 2) + 1;
  return text.slice(before, offset + 1).includes("${") ? '; within [ ] and { } write "${…}" in quotes' : "";
}
