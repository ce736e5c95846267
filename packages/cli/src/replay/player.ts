import { once } from "node:events";
import type { CallView, ReplayedField, ReplayLine, SessionView } from "@hoopish/protocol";
import type { Output } from "../terminal/output.ts";
import { safeDeep, safeLine } from "../terminal/safe-text.ts";
import { formatBytes, formatTime } from "../terminal/units.ts";
import type { OutputStream } from "../world.ts";
import { createBodyText } from "./body-text.ts";
import { Gutter } from "./gutter.ts";
import type { BodyText } from "./shown-body.ts";

export interface PlayerOptions {
  readonly output: Output;
  readonly stdout: OutputStream;
  readonly signal: AbortSignal;
  /** Text as it came, not as a person read it. */
  readonly raw: boolean;
  /** Called before something of this moment of the recording is shown. @returns milliseconds that were left out */
  until(atMs: number, kind: "pause" | "exchange"): Promise<number>;
  /** Called before a call after the first. False: that was enough. */
  next(atMs: number): Promise<boolean>;
}

type CallLine = Extract<ReplayLine, { call: unknown }>;
type Piece = Extract<ReplayLine, { piece: unknown }>["piece"];

interface Playing {
  readonly line: CallLine;
  readonly beganMs: number;
  field: ReplayedField | undefined;
  body: BodyText | undefined;
}

const BAR = "  │ ";

/** Shows a replay on a terminal or as text. Everything that was recorded goes through safeLine or a Gutter. */
export class Player {
  readonly #options: PlayerOptions;
  readonly #gutter: Gutter;
  #openedMs = 0;
  #session: SessionView | undefined;
  #playing: Playing | undefined;
  calls = 0;

  constructor(options: PlayerOptions) {
    this.#options = options;
    const { stdout, output } = options;
    this.#gutter = new Gutter(output.style.faint(BAR), BAR.length, stdout.isTTY ? (stdout.columns ?? 80) : undefined);
  }

  /** @throws the signal's reason */
  async play(lines: AsyncIterable<ReplayLine>): Promise<void> {
    for await (const line of lines) {
      if ("session" in line) await this.#begin(line.session);
      else if ("piece" in line) await this.#piece(line.piece);
      else if (!(await this.#call(line))) return;
    }
    await this.#endCall();
    if (this.calls === 0) await this.#print("No calls.\n");
  }

  async #begin(session: SessionView): Promise<void> {
    this.#session = session;
    this.#openedMs = Date.parse(session.openedAt);
    const { style } = this.#options.output;
    const { id, user, connection, openedAt, host, client, reason, ticket } = safeDeep(session);
    const why = [reason, ticket].filter(Boolean).join(", ");
    await this.#print(`${style.strong(id)} opened ${formatTime(openedAt)}\n`);
    await this.#recorded(`${user} on ${connection}, from ${host} with ${client}${why === "" ? "" : `: ${why}`}`);
  }

  async #call(line: CallLine): Promise<boolean> {
    await this.#endCall();
    const atMs = Math.max(0, Date.parse(line.call.time) - this.#openedMs);
    if (this.calls > 0 && !(await this.#options.next(atMs))) return false;
    const leftOutMs = await this.#options.until(atMs, "pause");
    this.calls += 1;
    this.#playing = { line, beganMs: atMs, field: undefined, body: undefined };
    const { style } = this.#options.output;
    if (leftOutMs >= 1_000) await this.#print(style.faint(`… ${Math.round(leftOutMs / 1_000)} s without a call\n`));
    const { id, time, user, method, path, kind, model, verdict, rule } = safeDeep(line.call);
    const paint = { allow: style.good, hold: style.odd, block: style.bad }[verdict];
    await this.#print(
      `\n${style.faint(`+${seconds(atMs)}`)} ${style.strong(id)} ${paint(verdict)}${rule === undefined ? "" : ` by ${rule}`}\n`,
    );
    await this.#recorded(`${formatTime(time)} ${user} ${method} ${path} (${[kind, model].filter(Boolean).join(" ")})`);
    for (const field of line.gone) await this.#print(style.odd(`  ${safeLine(field)}: kept no more\n`));
    return true;
  }

  async #piece({ field, offsetMs, data }: Piece): Promise<void> {
    const playing = this.#playing;
    if (playing === undefined) return;
    if (field === "delivered") await this.#options.until(playing.beganMs + offsetMs, "exchange");
    if (playing.field !== field) {
      await this.#endBody();
      playing.field = field;
      playing.body = createBodyText(this.#options.raw);
      await this.#print(this.#options.output.style.faint(`  ${titleOf(field, playing.line)}\n`));
    }
    await this.#print(this.#gutter.write(playing.body?.push(Buffer.from(data, "base64")) ?? ""));
  }

  async #endBody(): Promise<void> {
    const playing = this.#playing;
    if (playing?.body === undefined) return;
    const text = this.#gutter.write(playing.body.end()) + this.#gutter.end();
    playing.body = undefined;
    await this.#print(text);
  }

  async #endCall(): Promise<void> {
    const playing = this.#playing;
    if (playing === undefined) return;
    await this.#endBody();
    const { call, endedAt } = playing.line;
    if (endedAt !== undefined) await this.#options.until(Date.parse(endedAt) - this.#openedMs, "exchange");
    await this.#print(`  ${endOf(safeDeep(call), this.#options.output.style)}\n`);
    this.#playing = undefined;
  }

  /** A line of what somebody else chose: a name may be as long, and as hostile, as a body. */
  #recorded(line: string): Promise<void> {
    return this.#print(this.#gutter.write(line) + this.#gutter.end());
  }

  /** A reader that does not read stops the replay. */
  async #print(text: string): Promise<void> {
    const { output, stdout, signal } = this.#options;
    if (text === "") return;
    output.raw(text);
    if (stdout.writableNeedDrain) await once(stdout, "drain", { signal });
  }
}

function titleOf(field: ReplayedField, { payloads }: CallLine): string {
  const payload = payloads.find((one) => one.field === field);
  const name = { query: "query", request: "request", delivered: "answer" }[field];
  const bytes = payload === undefined ? "" : `, ${formatBytes(payload.bytes)}`;
  return `${name}${bytes}${payload?.complete === false ? ", cut off" : ""}`;
}

function endOf(call: CallView, style: Output["style"]): string {
  if (call.outcome === undefined) return style.odd("not ended");
  const words = [
    call.status,
    call.code,
    call.outcome,
    call.durationMs === undefined ? undefined : `${call.durationMs} ms`,
  ];
  const paint = call.outcome === "complete" && (call.status ?? 500) < 400 ? style.good : style.bad;
  return paint(words.filter((word) => word !== undefined).join(" "));
}

/** Milliseconds as seconds, or minutes and seconds. */
function seconds(ms: number): string {
  const whole = Math.floor(ms / 60_000);
  const rest = (ms % 60_000) / 1_000;
  return whole === 0 ? `${rest.toFixed(3)} s` : `${whole} min ${rest.toFixed(1)} s`;
}
