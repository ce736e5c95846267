import { safeText } from "../terminal/safe-text.ts";

/** Takes two columns on a terminal. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f000}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const TAB_COLUMNS = 8;

/**
 * Recorded text for a terminal, line by line behind a bar. Whatever is in it cannot move the cursor, and cannot look like
 * a line of ours: line feeds and lines too long for the terminal go on behind the bar too.
 */
export class Gutter {
  readonly #bar: string;
  readonly #columns: number;
  #column: number | undefined;

  /** @param columns of the terminal; undefined: lines are as long as they are */
  constructor(bar: string, barColumns: number, columns: number | undefined) {
    this.#bar = bar;
    this.#columns = columns === undefined ? Number.POSITIVE_INFINITY : Math.max(8, columns - barColumns);
  }

  /** Something has been written in the present line. */
  get open(): boolean {
    return this.#column !== undefined;
  }

  write(text: string): string {
    let out = "";
    for (const character of safeText(text)) {
      if (character === "\n") {
        out += this.open ? "\n" : `${this.#bar}\n`;
        this.#column = undefined;
        continue;
      }
      const width = widthOf(character);
      if (this.#column !== undefined && this.#column + width > this.#columns) {
        out += "\n";
        this.#column = undefined;
      }
      if (this.#column === undefined) {
        out += this.#bar;
        this.#column = 0;
      }
      out += character === "\t" ? " ".repeat(TAB_COLUMNS) : character;
      this.#column += width;
    }
    return out;
  }

  /** Ends the line, if one was begun. */
  end(): string {
    if (!this.open) return "";
    this.#column = undefined;
    return "\n";
  }
}

/** Never less than what a terminal takes for it. */
function widthOf(character: string): number {
  if (character === "\t") return TAB_COLUMNS;
  return character >= "\u1100" && WIDE.test(character) ? 2 : 1;
}
