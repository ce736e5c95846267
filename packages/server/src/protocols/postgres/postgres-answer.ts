import type { Duplex } from "node:stream";
import type { HeaderList, HoopishError } from "@hoopish/protocol";
import { errorResponse, readyForQuery } from "@hoopish/protocol/postgres";
import type { AnswerHead, AnswerSink } from "../../relay/exchange.ts";

/** What an answer needs of the connection that it goes to. */
export interface AnswerLine {
  /** The database is not at work for this connection: it can be said at once that it is ready. */
  readonly quiet: boolean;
  readonly status: "I" | "T" | "E";
  /** The client has asked that what runs be cancelled. */
  readonly cancelRequested: boolean;
  /** The connection ends with this. */
  readonly ending: boolean;
}

/** Time for the last bytes of a broken answer to leave before it is said to be broken. */
const FAREWELL_MS = 100;

/** An answer on a client's connection; what it is made of are whole messages. */
export class PostgresAnswerSink implements AnswerSink {
  readonly #stream: Duplex;
  readonly #line: AnswerLine;
  /** The batch ends with a Sync or is a simple query: the client waits for ReadyForQuery. */
  readonly #wantsReady: boolean;
  #headSent = false;
  #over = false;
  #failed = false;
  #owesReady = false;
  readonly #gone: (() => void)[] = [];
  #drained: () => void = () => {};
  readonly #onClose = (): void => {
    if (!this.#over) this.withdraw();
  };

  constructor(stream: Duplex, line: AnswerLine, wantsReady: boolean) {
    this.#stream = stream;
    this.#line = line;
    this.#wantsReady = wantsReady;
  }

  get headSent(): boolean {
    return this.#headSent;
  }

  /** An error was said: what the client sends up to its next Sync is passed over. */
  get failed(): boolean {
    return this.#failed;
  }

  /** The client still waits for ReadyForQuery, which comes when the database is quiet again. */
  get owesReady(): boolean {
    return this.#owesReady;
  }

  onGone(listener: () => void): void {
    this.#gone.push(listener);
    if (this.#gone.length === 1) this.#stream.once("close", this.#onClose);
  }

  /** The client wants this call no more, and stays. */
  withdraw(): void {
    for (const listener of this.#gone) listener();
  }

  /** The call is over. */
  release(): void {
    this.#stream.off("close", this.#onClose);
    this.#stream.off("drain", this.#drained);
  }

  onDrain(listener: () => void): void {
    this.#drained = listener;
    this.#stream.on("drain", listener);
  }

  whole(_head: AnswerHead, body: Buffer | undefined): void {
    this.#headSent = true;
    this.#over = true;
    if (body !== undefined && body.length > 0 && !this.#stream.destroyed) this.#stream.write(body);
  }

  head(): void {
    this.#headSent = true;
  }

  write(bytes: Buffer): boolean {
    return this.#stream.destroyed || this.#stream.write(bytes);
  }

  end(_trailers: HeaderList): void {
    this.#over = true;
  }

  refusal(error: HoopishError): { readonly head: AnswerHead; readonly body: Buffer } {
    this.#failed = true;
    const said = this.#said(error);
    const ready = this.#wantsReady && !this.#line.ending && this.#line.quiet;
    this.#owesReady = this.#wantsReady && !this.#line.ending && !ready;
    const body = ready ? Buffer.concat([said, readyForQuery(this.#line.status)]) : said;
    return { head: { status: error.shape.http, headers: [] }, body };
  }

  cut(error: HoopishError): void {
    if (this.#over) return;
    this.#over = true;
    this.#failed = true;
    this.#owesReady = this.#wantsReady && !this.#line.ending;
    if (!this.#stream.destroyed) this.#stream.write(this.#said(error));
  }

  cutSoon(error: HoopishError): void {
    setTimeout(() => this.cut(error), FAREWELL_MS);
  }

  #said(error: HoopishError): Buffer {
    if (this.#line.cancelRequested) {
      return errorResponse({ S: "ERROR", V: "ERROR", C: "57014", M: "canceling statement due to user request" });
    }
    const severity = this.#line.ending ? "FATAL" : "ERROR";
    const hint = error.hint === undefined ? {} : { H: error.hint };
    return errorResponse({
      ...{ S: severity, V: severity, C: error.shape.sqlstate, M: `hoopish: ${error.message}` },
      ...{ D: `code: ${error.code}`, ...hint },
    });
  }
}
