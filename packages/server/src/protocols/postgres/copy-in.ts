import type { RequestBody } from "../../relay/exchange.ts";

/** Data of a COPY that waits to be sent on. */
const MAX_WAITING = 1_048_576;

/** What a client copies in: the rest of its request, once the database asks for it. */
export class CopyIn {
  readonly #resume: () => void;
  #open = false;
  #ended = false;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #wake: (() => void) | undefined;

  /** @param resume the client may send more */
  constructor(resume: () => void) {
    this.#resume = resume;
  }

  /** Messages of a COPY belong to this call now. */
  get open(): boolean {
    return this.#open;
  }

  begin(): void {
    this.#open = !this.#ended;
  }

  /** @returns false: the client should wait */
  push(message: Buffer): boolean {
    this.#waiting.push(message);
    this.#waitingBytes += message.length;
    this.#wake?.();
    return this.#waitingBytes < MAX_WAITING;
  }

  /** The client has said its last, or the database its. */
  end(): void {
    this.#ended = true;
    this.#open = false;
    this.#wake?.();
  }

  body(first: Buffer): RequestBody {
    return {
      arrived: () => Promise.resolve(undefined),
      prefix: () => Promise.resolve({ bytes: first, ended: false }),
      rest: () => this.#rest(),
      trailers: [],
    };
  }

  async *#rest(): AsyncGenerator<Buffer> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next !== undefined) {
        this.#waitingBytes -= next.length;
        this.#resume();
        yield next;
      } else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
