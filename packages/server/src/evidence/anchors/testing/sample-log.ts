import type { KeyObject } from "node:crypto";
import {
  type Checkpoint,
  consistencyProof,
  ed25519Signer,
  Frontier,
  formatCheckpoint,
  leafHash,
  type NoteSigner,
  newLogKey,
  nodeHash,
  parseCheckpoint,
  signNote,
} from "@hoopish/protocol";
import type { SignedCheckpoint } from "../anchor.ts";

/** A log in memory, with real hashes, proofs and signatures: what the store will have in its tables. */
export class SampleLog {
  readonly origin: string;
  readonly signer: NoteSigner;
  readonly #leaves: Buffer[] = [];

  /** Logs with other `seed`s have other records. */
  constructor(
    size: number,
    options: { readonly origin?: string; readonly key?: KeyObject; readonly seed?: string } = {},
  ) {
    const { origin = "gateway.bank.example/hoopish", key = newLogKey(), seed = "" } = options;
    this.origin = origin;
    this.signer = ed25519Signer(origin, key);
    for (let n = 0; n < size; n += 1) this.#leaves.push(leafHash(Buffer.from(`${seed}${n}`)));
  }

  root(size: number): Buffer {
    const frontier = new Frontier();
    for (const leaf of this.#leaves.slice(0, size)) frontier.push(leaf);
    return frontier.root();
  }

  checkpoint(size: number): SignedCheckpoint {
    const text = formatCheckpoint({ origin: this.origin, size: BigInt(size), root: this.root(size) });
    const checkpoint: Checkpoint = parseCheckpoint(text);
    return { note: signNote(text, [this.signer]), checkpoint };
  }

  readonly consistency = async (from: number, to: number): Promise<Buffer[]> => consistencyProof(from, to, this.#node);

  readonly #node = (level: number, index: number): Buffer => {
    if (level === 0) return this.#leaves[index] as Buffer;
    return nodeHash(this.#node(level - 1, 2 * index), this.#node(level - 1, 2 * index + 1));
  };
}
