/** What masking costs, on one core: `npm run bench:masking`. The best of several runs each, beside V8's own JSON in the same run. */

import { createHmac } from "node:crypto";
import { JsonMask } from "../../src/masking/json-mask.ts";
import { Masker } from "../../src/masking/masker.ts";
import { buildPlan } from "../../src/masking/plan.ts";
import { Tally } from "../../src/masking/tally.ts";
import { TextMask } from "../../src/masking/text-mask.ts";
import { PII_TYPES } from "../../src/masking/types.ts";

const mac = (value: string): Buffer => createHmac("sha256", "key").update(value).digest();
const plan = buildPlan([{ detect: PII_TYPES, fields: [], action: { kind: "redact" } }], undefined, mac);
const ROUNDS = 10;

const WORDS = (
  "The applicant's annual income and debt ratio were reviewed by the model and the probability of default is low because the " +
  "history of payments has been regular over several years with no delinquency reported Decision approve limit increase subject to"
).split(" ");
let state = 7;
const next = (): number => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
  return state / 0x7fffffff;
};
function prose(length: number): string {
  let text = "";
  while (text.length < length)
    text += WORDS[Math.floor(next() * WORDS.length)] + (next() < 0.08 ? ", " : next() < 0.06 ? ". " : " ");
  return text.slice(0, length);
}

const row = (note: string, index: number): object => ({
  id: `row-${index}`,
  score: Number(next().toFixed(6)),
  note,
  ok: true,
});
const clean = JSON.stringify({ data: Array.from({ length: 2_000 }, (_, i) => row(prose(480), i)) });
const dirty = JSON.stringify({
  data: Array.from({ length: 1_000 }, (_, i) => row(`${prose(480)} card 4111 1111 1111 1111 ${prose(450)}`, i)),
});
const embedding = JSON.stringify({
  data: [{ index: 0, embedding: Array.from({ length: 1_536 }, () => next() * 2 - 1) }],
});

const maskJson = (text: string): string => new JsonMask(plan, new Tally(plan)).push(text, true);
if (maskJson(clean) !== clean || maskJson(embedding) !== embedding) throw new Error("clean JSON was altered");
if ((maskJson(dirty).match(/\[CREDIT_CARD\]/g) ?? []).length !== 1_000) throw new Error("a card was missed");

/** Milliseconds, the best of several. */
function best(work: () => unknown): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    work();
    if (round > 1) least = Math.min(least, performance.now() - start);
  }
  return least;
}
const line = (what: string, value: string): void => void process.stdout.write(`${what.padEnd(58)}${value}\n`);
const perSecond = (bytes: number, ms: number): string => `${(bytes / ms / 1_000).toFixed(0)} MB/s`;
const repeated = (times: number, work: () => unknown) => () => {
  for (let i = 0; i < times; i++) work();
};

line(
  "clean JSON",
  perSecond(
    clean.length,
    best(() => maskJson(clean)),
  ),
);
line(
  "the same in bytes, 16 KiB at a time",
  perSecond(
    clean.length,
    best(() => bytes(clean)),
  ),
);
line(
  "JSON with one match a kilobyte",
  perSecond(
    dirty.length,
    best(() => maskJson(dirty)),
  ),
);
line(
  "JSON.parse + JSON.stringify of the clean JSON",
  perSecond(
    clean.length,
    best(() => JSON.stringify(JSON.parse(clean))),
  ),
);
const masked = best(repeated(50, () => maskJson(embedding)));
const parsed = best(repeated(50, () => JSON.parse(embedding)));
line(
  "an embedding of 1,536 numbers",
  `${(masked / 50).toFixed(3)} ms, ${(masked / parsed).toFixed(2)} × JSON.parse of it`,
);

function bytes(text: string): void {
  const masker = new Masker(plan, "application/json");
  const all = Buffer.from(text);
  for (let at = 0; at < all.length; at += 16_384) masker.push(all.subarray(at, at + 16_384));
  masker.end();
}

// A chat, token by token: what masking adds to one event, and what it holds back.
const tokens = prose(40_000).match(/\s*\S+/g) ?? [];
const events = tokens.map((content) =>
  Buffer.from(
    `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`,
  ),
);
const times: number[] = [];
const stream = new Masker(plan, "text/event-stream");
for (const event of events) {
  const start = performance.now();
  stream.push(event);
  times.push(performance.now() - start);
}
times.sort((a, b) => a - b);
const at = (share: number): string => `${((times[Math.floor(times.length * share)] as number) * 1_000).toFixed(0)} µs`;
line(`a streamed chat of ${events.length} events, added to one`, `median ${at(0.5)}, p99 ${at(0.99)}`);
const text = new TextMask(plan, new Tally(plan), false);
let held = 0;
for (const token of tokens) {
  text.push(token, false);
  held += text.held;
}
line("held back after an event of clean text, on average", `${(held / tokens.length).toFixed(1)} characters`);

const MEGABYTE = 1_000_000;
const hostile: Readonly<Record<string, string>> = {
  "digits in groups": "123 ",
  "ten digits": "1234567890 ",
  brackets: "(1",
  "the beginnings of IBANs": "GB82 WEST ",
  "0x": "0x",
  "addresses of Bitcoin that are none": "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb ",
  titles: "Mr. Aa ",
  "beginnings of streets": "12 Main Aa ",
  "words that announce": "account 123456 ",
  "@": "a@",
  colons: "::1",
  dashes: "-",
  "beginnings of keys": "sk-",
};
const base = prose(MEGABYTE);
const maskText = (one: string): string => new TextMask(plan, new Tally(plan), false).push(one, true);
const normal = best(() => maskText(base));
line("\n1 MB of clean text", `${normal.toFixed(1)} ms`);
for (const [name, part] of Object.entries(hostile)) {
  const one = part.repeat(Math.ceil(MEGABYTE / part.length));
  line(`1 MB of ${name}`, `+ ${(best(() => maskText(one)) - normal).toFixed(0)} ms`);
}
