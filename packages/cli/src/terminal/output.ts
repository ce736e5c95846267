import type { OutputStream } from "../world.ts";
import { safeDeep, safeJson, safeLine } from "./safe-text.ts";
import type { Style } from "./style.ts";

export interface OutputOptions {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly style: Style;
  readonly json: boolean;
  readonly quiet: boolean;
}

/**
 * What a command says. Results go to stdout, everything else to stderr. Data is shown through {@link show} and
 * {@link event}, whose renderers see only neutralised strings: a command cannot forget it.
 */
export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly style: Style;
  readonly #stdout: OutputStream;
  readonly #stderr: OutputStream;

  constructor(options: OutputOptions) {
    this.json = options.json;
    this.quiet = options.quiet;
    this.style = options.style;
    this.#stdout = options.stdout;
    this.#stderr = options.stderr;
  }

  /** A result: with `--json` the value as one document, otherwise the lines that `render` makes of it. */
  show<T>(value: T, render: (safe: T, style: Style) => readonly string[]): void {
    if (this.json) this.#write(safeJson(value, 2));
    else for (const line of render(safeDeep(value), this.style)) this.#write(line);
  }

  /** One thing of a stream of things: with `--json` one object a line, otherwise lines. */
  event<T>(value: T, render: (safe: T, style: Style) => readonly string[]): void {
    if (this.json) this.#write(safeJson(value));
    else for (const line of render(safeDeep(value), this.style)) this.#write(line);
  }

  /** Text that was neutralised by its maker, such as a body or a completion script. */
  raw(text: string): void {
    this.#stdout.write(text);
  }

  /** A remark for a person, on stderr; not with `--quiet` and not with `--json`. */
  note(line: string): void {
    if (!this.quiet && !this.json) this.#stderr.write(`${safeLine(line)}\n`);
  }

  /** Something that a person should act on, on stderr, whatever the options. */
  warn(line: string): void {
    this.#stderr.write(`hoopish: ${safeLine(line)}\n`);
  }

  /** One line of JSON on stderr, for where stdout belongs to somebody else. */
  errorEvent(value: unknown): void {
    this.#stderr.write(`${safeJson(value)}\n`);
  }

  #write(line: string): void {
    this.#stdout.write(`${line}\n`);
  }
}
