/**
 * How well the detectors find: `npm run accuracy`. Per type: precision, recall, F2, on our own finance corpus and, where it
 * lies beside the project, on presidio-research's labelled texts. A span counts as found when a finding overlaps it, and as leaked
 * when four characters of it stand together in the masked text.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildPlan } from "../../src/masking/plan.ts";
import { Tally } from "../../src/masking/tally.ts";
import { TextMask } from "../../src/masking/text-mask.ts";
import { PII_TYPES } from "../../src/masking/types.ts";
import { FINANCE, type Labelled } from "./corpus.ts";

const plan = buildPlan([{ detect: PII_TYPES, fields: [], action: { kind: "redact" } }], undefined, () =>
  Buffer.alloc(32),
);

interface Found {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

function run(text: string): { readonly found: readonly Found[]; readonly masked: string } {
  const found: Found[] = [];
  const mask = new TextMask(plan, new Tally(plan), false, "", (type, start, end) => found.push({ type, start, end }));
  return { masked: mask.push(text, true), found };
}

const overlaps = (one: Found, two: Found): boolean => one.start < two.end && two.start < one.end;

function report(title: string, texts: readonly Labelled[]): void {
  const scores = new Map<string, { hit: number; missed: number; wrong: number }>();
  const labelled = new Set(texts.flatMap(({ spans }) => spans.map(({ type }) => type)));
  const leaked = new Map<string, number>();
  let altered = 0;
  let clean = 0;
  for (const { text, spans } of texts) {
    const { found, masked } = run(text);
    if (spans.length === 0) {
      clean++;
      if (masked !== text) altered++;
    }
    for (const type of labelled) {
      const score = scores.get(type) ?? { hit: 0, missed: 0, wrong: 0 };
      scores.set(type, score);
      const mine = spans.filter((span) => span.type === type);
      for (const span of mine) {
        const hit = found.some((one) => one.type === type && overlaps(one, span));
        if (hit) score.hit++;
        else score.missed++;
        if (hit && leaks(text.slice(span.start, span.end), masked, text, spans))
          leaked.set(type, (leaked.get(type) ?? 0) + 1);
      }
      score.wrong += found.filter((one) => one.type === type && !mine.some((span) => overlaps(one, span))).length;
    }
  }
  process.stdout.write(`\n${title}: ${texts.length} texts\n`);
  process.stdout.write(
    `${"type".padEnd(20)}${"spans".padStart(7)}${"precision".padStart(11)}${"recall".padStart(9)}${"F2".padStart(8)}\n`,
  );
  for (const [type, { hit, missed, wrong }] of [...scores].sort()) {
    const precision = hit + wrong === 0 ? 1 : hit / (hit + wrong);
    const recall = hit + missed === 0 ? 1 : hit / (hit + missed);
    const f2 = precision + recall === 0 ? 0 : (5 * precision * recall) / (4 * precision + recall);
    const row = [
      String(hit + missed).padStart(7),
      precision.toFixed(3).padStart(11),
      recall.toFixed(3).padStart(9),
      f2.toFixed(3).padStart(8),
    ];
    process.stdout.write(`${type.padEnd(20)}${row.join("")}\n`);
  }
  process.stdout.write(
    `found, and yet in part in the output: ${[...leaked].map(([type, count]) => `${count} ${type}`).join(", ") || "none"}; texts without anything, altered: ${altered} of ${clean}\n`,
  );
}

/** Four characters of a value that was found stand in the output, and stand nowhere else in the text. */
function leaks(value: string, masked: string, text: string, spans: readonly Found[]): boolean {
  let around = "";
  let at = 0;
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    around += `${text.slice(at, start)}\u0000`;
    at = end;
  }
  around += text.slice(at);
  for (let i = 0; i + 4 <= value.length; i++) {
    const part = value.slice(i, i + 4);
    if (masked.includes(part) && !around.includes(part)) return true;
  }
  return false;
}

report("our finance corpus", FINANCE);

const TYPES: Readonly<Record<string, string>> = {
  CREDIT_CARD: "CREDIT_CARD",
  PHONE_NUMBER: "PHONE",
  EMAIL_ADDRESS: "EMAIL",
  US_SSN: "US_SSN",
  IBAN_CODE: "IBAN",
  IP_ADDRESS: "IP_ADDRESS",
  US_DRIVER_LICENSE: "US_DRIVER_LICENSE",
  PERSON: "PERSON",
  ADDRESS: "STREET_ADDRESS",
};
const file = fileURLToPath(new URL("../../../../../shared/data/pii/labelled-2109.json", import.meta.url));
if (!existsSync(file)) process.stdout.write("\npresidio-research's labelled texts are not here: skipped\n");
else {
  const items = JSON.parse(readFileSync(file, "utf8")) as {
    full_text: string;
    spans: { entity_type: string; start_position: number; end_position: number }[];
  }[];
  const texts = items.map(({ full_text: text, spans }) => ({
    text,
    spans: spans.flatMap(({ entity_type, start_position: start, end_position: end }) => {
      const type = TYPES[entity_type];
      // What we do not look for is not clean either.
      return [{ type: type ?? "(other)", start, end }];
    }),
  }));
  report("presidio-research", texts);
}
