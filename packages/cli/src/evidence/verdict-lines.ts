import type { Finding, Report, Verdict } from "@hoopish/protocol/bundle";
import type { Paint, Style } from "../terminal/style.ts";
import { details } from "../terminal/table.ts";
import { formatTime } from "../terminal/units.ts";

/** Findings that a person reads; `--json` has all of them. */
const SHOWN = 20;

const HEADS: Readonly<Record<Verdict, string>> = {
  verified: "✓ verified: what is in this bundle is what the log has signed",
  incomplete: "! incomplete: what is here is authentic, and something is missing that should be here",
  tampered: "✗ tampered: this is not what the log has signed",
};

/** What the verifier found, for people: the verdict, what was looked at, what is wrong and where, what cannot be seen. */
export function verdictLines(report: Report, style: Style): readonly string[] {
  return [
    paintOf(report.verdict, style)(HEADS[report.verdict]),
    ...findingLines(report, style),
    "",
    ...details(facts(report), style),
    ...section(
      "Not to be seen from here",
      style,
      report.unchecked.map(({ message }) => message),
    ),
  ];
}

function paintOf(verdict: Verdict, style: Style): Paint {
  return { verified: style.good, incomplete: style.odd, tampered: style.bad }[verdict];
}

function findingLines({ findings, omitted }: Report, style: Style): readonly string[] {
  const more = findings.length - SHOWN + omitted;
  const lines = findings.slice(0, SHOWN).map((finding) => `${finding.message}${style.faint(placeOf(finding))}`);
  if (more > 0) lines.push(`and ${more} more`);
  return section("Found", style, lines);
}

/** `(file, record 7)`, without what the message says already. */
function placeOf({ code, message, where }: Finding): string {
  const { file, index, from, to } = where;
  const places = [
    file !== undefined && !message.includes(file) ? file : undefined,
    index !== undefined && !message.includes(`record ${index}`) ? `record ${index}` : undefined,
    from !== undefined && to !== undefined
      ? `the first bad one is record ${from} or one behind it, before ${to}`
      : undefined,
    code,
  ];
  return ` (${places.filter((place) => place !== undefined).join("; ")})`;
}

function section(title: string, style: Style, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ["", style.strong(title), ...lines.map((line) => `  · ${line}`)];
}

function facts(report: Report): (readonly [string, string | undefined])[] {
  const { range, requester, filters, counts, keys, anchors, purges } = report;
  const asked = range.since === undefined ? undefined : `${formatTime(range.since)} to ${formatTime(range.until)}`;
  const only = Object.entries(filters ?? {}).map(([name, value]) => `${name} ${value}`);
  return [
    ["log", report.origin],
    ["records", `${counts.records}${rangeOf(range)}`],
    ["times", range.first && `${formatTime(range.first)} to ${formatTime(range.last) || "…"}`],
    ["asked for", asked],
    ["by", requester?.name],
    ["payloads of", only.length === 0 ? undefined : only.join(", ")],
    ["payloads", payloadsOf(counts)],
    ...purges
      .filter(({ here }) => here > 0)
      .map(
        ({ index, here, count, from, to }) =>
          ["purged", `${here} of ${count}, by record ${index} (${from.slice(0, 10)} to ${to.slice(0, 10)})`] as const,
      ),
    ["signed by", keys.length === 0 ? "none of the keys given" : keys.join(", ")],
    ...anchors.map(
      ({ source, size, witnesses, time }) =>
        [
          "confirmed by",
          [source, `${size} records`, ...witnesses, formatTime(time)].filter(Boolean).join(", "),
        ] as const,
    ),
  ];
}

function rangeOf({ start, end }: Report["range"]): string {
  return start === undefined || end === undefined || end === start ? "" : ` (${start} to ${end - 1})`;
}

const WORDS = [
  ["PRESENT_OK", "here and as committed to"],
  ["PURGED", "purged"],
  ["HELD", "under a legal hold"],
  ["WITHHELD", "not asked for"],
  ["MISSING", "missing"],
  ["MISMATCH", "not as committed to"],
] as const;

function payloadsOf({ payloads, uncommitted }: Report["counts"]): string {
  const words = WORDS.filter(([word]) => payloads[word] > 0).map(([word, text]) => `${payloads[word]} ${text}`);
  if (uncommitted > 0) words.push(`${uncommitted} of cut calls`);
  return words.length === 0 ? "none" : words.join(", ");
}
