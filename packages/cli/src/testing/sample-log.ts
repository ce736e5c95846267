import type { KeyObject } from "node:crypto";
import {
  consistencyProof,
  ed25519Signer,
  Frontier,
  formatAddCheckpoint,
  formatCheckpoint,
  leafHash,
  type NoteSigner,
  newLogKey,
  nodeHash,
  signNote,
} from "@hoopish/protocol";

/** A log in memory, with real hashes, proofs and signatures. */
export class SampleLog {
  readonly origin = "gateway.bank.example/hoopish";
  readonly signer: NoteSigner;
  readonly #leaves: Buffer[] = [];

  /** Logs with another `seed` have other records from `fork` on. */
  constructor(size: number, key: KeyObject = newLogKey(), seed = "", fork = 0) {
    this.signer = ed25519Signer(this.origin, key);
    for (let n = 0; n < size; n += 1) this.#leaves.push(leafHash(Buffer.from(`${n < fork ? "" : seed}${n}`)));
  }

  root(size: number): Buffer {
    const frontier = new Frontier();
    for (const leaf of this.#leaves.slice(0, size)) frontier.push(leaf);
    return frontier.root();
  }

  checkpoint(size: number, origin: string = this.origin): string {
    return signNote(formatCheckpoint({ origin, size: BigInt(size), root: this.root(size) }), [this.signer]);
  }

  proof(from: number, to: number): Buffer[] {
    return consistencyProof(from, to, this.#node);
  }

  /** The body of add-checkpoint. */
  request(from: number, to: number): string {
    return formatAddCheckpoint({ oldSize: from, proof: this.proof(from, to), checkpoint: this.checkpoint(to) });
  }

  readonly #node = (level: number, index: number): Buffer => {
    if (level === 0) return this.#leaves[index] as Buffer;
    return nodeHash(this.#node(level - 1, 2 * index), this.#node(level - 1, 2 * index + 1));
  };
}
