import { HoopishError } from "@hoopish/protocol";
import type { Analyze } from "./analyzer.ts";
import { deltasOf } from "./deltas.ts";
import type { MaskPlan } from "./plan.ts";
import type { OwnPatterns } from "./scanner.ts";

/** A body that flows is put together up to this length. */
const MAX_WHOLE = 4_194_304;
/** A text of a stream is analyzed when a sentence ends, and at the latest after so many characters. */
const MAX_SENTENCE = 600;
/** One question to the analyzer. */
const MAX_QUESTION = 20_000;
/** Values of one body. */
const MAX_VALUES = 2_000;
const LONGEST = 100;

/**
 * What an analyzer found in the texts of one body, looked for in that body: every place where a value stands is masked, so it
 * does not matter how the body is written around it.
 */
export class FoundValues implements OwnPatterns {
  readonly #byText = new Map<string, string>();
  readonly #more: OwnPatterns | undefined;
  #pattern: RegExp | undefined;
  longest: number;

  constructor(more: OwnPatterns | undefined) {
    this.#more = more;
    this.longest = Math.max(LONGEST, more?.longest ?? 0);
  }

  add(type: string, value: string): void {
    const text = value.trim();
    if (text.length < 2 || text.length > LONGEST || this.#byText.has(text)) return;
    if (this.#byText.size >= MAX_VALUES)
      throw new HoopishError("response_uninspectable", "the analyzer found too much in it");
    this.#byText.set(text, type);
    this.#pattern = undefined;
  }

  find(text: string, from: number, to: number, high: number): { type: string; start: number; end: number } | undefined {
    const other = this.#more?.find(text, from, to, high);
    const mine = this.#mine(text, from, to, high);
    if (mine === undefined || other === undefined) return mine ?? other;
    return other.start < mine.start ? other : mine;
  }

  #mine(
    text: string,
    from: number,
    to: number,
    high: number,
  ): { type: string; start: number; end: number } | undefined {
    if (this.#byText.size === 0) return undefined;
    // The longest first: "Ada Byron" before "Ada".
    this.#pattern ??= new RegExp(
      [...this.#byText.keys()]
        .sort((one, two) => two.length - one.length)
        .map((value) => value.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
        .join("|"),
      "g",
    );
    this.#pattern.lastIndex = from;
    for (let match = this.#pattern.exec(text); match !== null && match.index < to; match = this.#pattern.exec(text)) {
      const start = match.index;
      const end = start + match[0].length;
      if (end > high) return undefined;
      if (isWhole(text, start, end)) return { type: this.#byText.get(match[0]) ?? "PERSON", start, end };
      this.#pattern.lastIndex = start + 1;
    }
    return undefined;
  }
}

/** No part of a longer word. */
const isWhole = (text: string, start: number, end: number): boolean =>
  !(/\p{L}/u.test(text[start - 1] ?? "") && /\p{L}/u.test(text[start] ?? "")) &&
  !(/\p{L}/u.test(text[end] ?? "") && /\p{L}/u.test(text[end - 1] ?? ""));

/** A plan for one body, whose own patterns are what the analyzer finds in it. */
export function planWith(plan: MaskPlan, values: FoundValues): MaskPlan {
  return { ...plan, own: values };
}

/** Gives a body on only when the texts in it were analyzed: whole, or a stream sentence by sentence. */
export class AnalyzedText {
  readonly #analyze: Analyze;
  readonly #values: FoundValues;
  readonly #streams: boolean;
  /** Not given on yet. */
  #waiting = "";
  /** What of a line was seen of which not all has come. */
  #line = "";
  /** Texts under way, by channel. */
  readonly #texts = new Map<string, string>();
  #due = false;

  constructor(analyze: Analyze, values: FoundValues, streams: boolean) {
    this.#analyze = analyze;
    this.#values = values;
    this.#streams = streams;
  }

  /** @returns what may go on now */
  async push(piece: string): Promise<string> {
    this.#waiting += piece;
    if (this.#waiting.length > MAX_WHOLE)
      throw new HoopishError("response_uninspectable", "it is too long to be analyzed");
    if (!this.#streams) return "";
    this.#line += piece;
    for (let end = this.#line.indexOf("\n"); end !== -1; end = this.#line.indexOf("\n")) {
      this.#lineRead(this.#line.slice(0, end));
      this.#line = this.#line.slice(end + 1);
    }
    return this.#due ? await this.#release() : "";
  }

  async end(): Promise<string> {
    if (this.#streams) {
      this.#lineRead(this.#line);
      return await this.#release();
    }
    this.#texts.set("whole", textsOf(this.#waiting));
    return await this.#release();
  }

  async #release(): Promise<string> {
    const texts = [...this.#texts.values()].filter((text) => /\p{L}{2}/u.test(text));
    this.#texts.clear();
    this.#due = false;
    for (const text of texts) {
      for (let at = 0; at < text.length; at += MAX_QUESTION) {
        const part = text.slice(at, at + MAX_QUESTION);
        for (const { type, start, end } of await this.#analyze(part)) this.#values.add(type, part.slice(start, end));
      }
    }
    const out = this.#waiting;
    this.#waiting = "";
    return out;
  }

  #lineRead(line: string): void {
    const json = /^(?:data:)?\s*([[{].*)$/.exec(line.trim())?.[1];
    let event: unknown;
    try {
      event = json === undefined ? undefined : JSON.parse(json);
    } catch {
      event = undefined;
    }
    if (event === undefined) {
      // A line of text, or what is no event: it is looked at, and nothing waits for it.
      this.#texts.set("lines", `${this.#texts.get("lines") ?? ""}${line}\n`);
      if (/\[DONE\]/.test(line)) this.#due = true;
      return;
    }
    const deltas = deltasOf(event);
    if (deltas === undefined || deltas.pieces.length === 0) {
      this.#texts.set("whole", `${this.#texts.get("whole") ?? ""}${textsOf(JSON.stringify(event))}\n`);
      this.#due = true;
      return;
    }
    for (const { place, channel } of deltas.pieces) {
      const text = `${this.#texts.get(channel) ?? ""}${String(at(event, place))}`;
      this.#texts.set(channel, text);
      if (/[.!?\n]\s*$/.test(text) || text.length > MAX_SENTENCE || deltas.ends(channel)) this.#due = true;
    }
  }
}

function at(value: unknown, place: readonly (string | number)[]): unknown {
  let here = value;
  for (const step of place) here = (here as Record<string | number, unknown> | undefined)?.[step];
  return here;
}

/** Every text in a document, each on lines of its own; what is no JSON is one text. */
function textsOf(body: string): string {
  const texts: string[] = [];
  try {
    JSON.parse(body, (_, value: unknown) => {
      if (typeof value === "string" && /\p{L}{2}/u.test(value)) texts.push(value);
      return undefined;
    });
  } catch {
    return body;
  }
  return texts.join("\n");
}
