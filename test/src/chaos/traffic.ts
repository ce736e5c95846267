import type { Seeded } from "./seeded.ts";

/** What one client got of one call. */
export interface Received {
  /** Empty: no answer began. */
  readonly call: string;
  readonly status: number;
  readonly bytes: Buffer;
  /** The answer ended as a whole one does. */
  readonly whole: boolean;
}

const LANES = 8;

/** Clients that make one call after another, most of them streamed, until they are told to stop or their server is gone. */
export class Traffic {
  readonly received: Received[] = [];
  readonly #base: string;
  readonly #random: Seeded;
  readonly #lanes: Promise<void>[];
  #stopping = false;

  constructor(base: string, random: Seeded) {
    this.#base = base;
    this.#random = random;
    this.#lanes = Array.from({ length: LANES }, () => this.#lane());
  }

  /** Resolves when each client has seen the end of its last call, whole or broken. */
  async stop(): Promise<readonly Received[]> {
    this.#stopping = true;
    await Promise.all(this.#lanes);
    return this.received;
  }

  async #lane(): Promise<void> {
    while (!this.#stopping) {
      const received = await this.#call();
      this.received.push(received);
      // Its server is gone: what comes next has to wait for another.
      if (!received.whole) return;
    }
  }

  async #call(): Promise<Received> {
    const random = this.#random;
    const stream = random.chance(0.8);
    const words = random.chance(0.1) ? 4_000 : random.between(5, 400);
    try {
      const answer = await fetch(`${this.#base}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-test-token-delay": String(random.between(0, 3)) },
        body: JSON.stringify({
          model: "m",
          stream,
          seed: random.between(0, 2 ** 31),
          messages: [{ role: "user", content: `write ${words} words` }],
        }),
      });
      return await read(answer);
    } catch {
      return { call: "", status: 0, bytes: Buffer.alloc(0), whole: false };
    }
  }
}

async function read(answer: Response): Promise<Received> {
  const chunks: Uint8Array[] = [];
  let whole = false;
  try {
    for await (const chunk of answer.body ?? []) chunks.push(chunk);
    whole = true;
  } catch {
    // Broken off.
  }
  const call = answer.headers.get("hoopish-call") ?? "";
  return { call, status: answer.status, bytes: Buffer.concat(chunks), whole };
}
