import {
  consistencyProof,
  ed25519Signer,
  Frontier,
  formatCheckpoint,
  leafHash,
  type NodeReader,
  type NoteSigner,
  newLogKey,
  nodeHash,
  signNote,
} from "@hoopish/protocol";
import { json, type Route, sendError } from "./gateway.ts";

/** A real log in memory: records, tree, key; `at` may be set back to show an older state. */
export class TestLog {
  readonly signer: NoteSigner;
  readonly #levels: Buffer[][] = [[]];
  readonly #roots: Buffer[] = [new Frontier().root()];
  readonly #frontier = new Frontier();

  constructor(signer: NoteSigner = ed25519Signer("gateway.bank.example/hoopish", newLogKey())) {
    this.signer = signer;
  }

  get size(): number {
    return this.#frontier.size;
  }

  /** What discovery says of it. */
  get announced(): { origin: string; vkey: string } {
    return { origin: this.signer.name, vkey: this.signer.vkey };
  }

  append(...records: readonly string[]): this {
    for (const record of records) {
      const hash = leafHash(Buffer.from(record));
      this.#frontier.push(hash);
      this.#roots.push(this.#frontier.root());
      this.#put(0, hash);
    }
    return this;
  }

  grow(records: number, word = "record"): this {
    return this.append(...Array.from({ length: records }, (_, i) => `${word} ${this.size + i}`));
  }

  root(size: number = this.size): Buffer {
    return this.#roots[size] as Buffer;
  }

  checkpoint(size: number = this.size, origin: string = this.signer.name): string {
    return signNote(formatCheckpoint({ origin, size: BigInt(size), root: this.root(size) }), [this.signer]);
  }

  consistency(from: number, to: number): Buffer[] {
    return consistencyProof(from, to, this.#node);
  }

  readonly #node: NodeReader = (level, index) => this.#levels[level]?.[index] as Buffer;

  #put(level: number, hash: Buffer): void {
    this.#levels[level] ??= [];
    const row = this.#levels[level] as Buffer[];
    row.push(hash);
    if (row.length % 2 === 0) this.#put(level + 1, nodeHash(row.at(-2) as Buffer, hash));
  }
}

/** The two routes of whichever log `current` gives at the moment. */
export function logRoutes(current: () => TestLog | undefined): Record<string, Route> {
  return {
    "GET /api/v1/log/checkpoint": (_, response) => {
      const log = current();
      if (log === undefined) return sendError(response, "not_found", "there is no log");
      response.setHeader("content-type", "text/plain; charset=utf-8");
      response.end(log.checkpoint());
    },
    "GET /api/v1/log/consistency": (_, response, url) => {
      const [from, to] = ["from", "to"].map((name) => Number(url.searchParams.get(name)));
      const log = current();
      if (log === undefined || from === undefined || to === undefined || from > to || to > log.size) {
        return sendError(response, "bad_request", "there are no such trees");
      }
      json(response, { proof: log.consistency(from, to).map((hash) => hash.toString("base64")) });
    },
  };
}
