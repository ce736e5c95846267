import type { Found, View } from "./candidate.ts";
import { classOf, DIGIT, LETTER } from "./chars.ts";
import { type Context, contextBefore } from "./context.ts";
import type { PiiType } from "./types.ts";

/** The words before a number, looked at once, and only if somebody asks. */
export const lookback = {
  text: "",
  at: 0,
  asked: false,
  context: undefined as Context | undefined,
  begin({ text }: View, at: number): void {
    this.text = text;
    this.at = at;
    this.asked = false;
  },
  get is(): Context | undefined {
    if (!this.asked) {
      this.asked = true;
      this.context = contextBefore(this.text, this.at);
    }
    return this.context;
  },
};

export function take(found: Found, type: PiiType, start: number, end: number): void {
  if (end <= found.end) return;
  found.type = type;
  found.start = start;
  found.end = end;
  found.swallow = undefined;
}

/** No further digit or letter is glued to its end, but for a word that is no hexadecimal number: `4111111111111111USD`. */
export function endsThere({ text, high }: View, end: number): boolean {
  if (end >= high) return true;
  const code = text.charCodeAt(end);
  if ((classOf(code) & (DIGIT | LETTER)) === 0) return true;
  return (code >= 0x67 && code <= 0x7a) || (code >= 0x47 && code <= 0x5a);
}
