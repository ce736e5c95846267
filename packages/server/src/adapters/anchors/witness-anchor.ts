import { hash } from "node:crypto";
import {
  addSignatures,
  cosignatureTime,
  formatAddCheckpoint,
  HoopishError,
  MAX_NOTE_BYTES,
  type NoteVerifier,
  openNote,
  parseTreeSize,
  TREE_SIZE_TYPE,
  treeSizeOf,
} from "@hoopish/protocol";
import type { Anchor, AnchorReceipt, SignedCheckpoint } from "../../evidence/anchors/anchor.ts";
import { type BoundedAnswer, boundedFetch } from "../bounded-fetch.ts";

export interface WitnessAnchorOptions {
  /** Submission and monitoring prefix (C2SP tlog-witness); https, or this machine. */
  readonly url: URL;
  /** The witness's key, type 0x04 (cosignature v1), from the configuration. */
  readonly witness: NoteVerifier;
  /** The log's origin. */
  readonly origin: string;
  readonly everyMs: number;
  readonly required: boolean;
  /** RFC 6962 §2.1.2, for 0 < from < to. */
  readonly consistency: (from: number, to: number) => Promise<readonly Uint8Array[]>;
  readonly now: () => number;
  /** Default 10 000. */
  readonly timeoutMs?: number;
}

/** A conflict tells the size that the witness has; a second one right after means that somebody else submits too. */
const ATTEMPTS = 3;
/** Signature lines are short; a refusal may be a page of a proxy. */
const MAX_ANSWER_BYTES = 65_536;
/** A cosignature from so far in the future says that a clock is wrong. */
const MAX_AHEAD_MS = 600_000;

/** A witness (C2SP tlog-witness) that somebody else runs, such as internal audit with `hoopish witness`. */
export function witnessAnchor(options: WitnessAnchorOptions): Anchor {
  const client = new WitnessClient(options);
  return {
    name: `witness ${options.witness.name} at ${options.url.origin}`,
    everyMs: options.everyMs,
    required: options.required,
    publish: (signed, signal) => client.publish(signed, signal),
    newest: (signal) => client.newest(signal),
  };
}

class WitnessClient {
  readonly #options: WitnessAnchorOptions;
  /** The size that the witness cosigned last, as far as is known here: 0 makes it tell. */
  #size = 0;

  constructor(options: WitnessAnchorOptions) {
    this.#options = options;
  }

  async publish(signed: SignedCheckpoint, signal: AbortSignal): Promise<AnchorReceipt> {
    const size = treeSizeOf(signed.checkpoint);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const answer = await this.#submit(signed.note, Math.min(this.#size, size), size, signal);
      if (answer.status === 200) {
        const note = this.#cosigned(signed.note, answer.body);
        this.#size = size;
        return { kind: "cosigned", note };
      }
      this.#size = this.#sizeOf(answer);
      if (this.#size > size) {
        const message = `the witness has seen ${this.#size} records of this log, and this checkpoint is of ${size}`;
        throw new HoopishError("conflict", message, { hint: "does another server sign for the same log?" });
      }
    }
    throw new HoopishError("conflict", "the witness's size of this log changes again and again", {
      hint: "does another server sign for the same log?",
    });
  }

  async newest(signal: AbortSignal): Promise<string | undefined> {
    const { origin, witness } = this.#options;
    const answer = await this.#fetch(`${hash("sha256", origin)}/checkpoint`, {
      method: "GET",
      maxBytes: MAX_NOTE_BYTES,
      signal,
    });
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw this.#unexpected(answer.status);
    // Whether the log has signed it is checked by the caller; that the witness stands for it, here.
    openNote(answer.body, [witness]);
    return answer.body.toString("utf8");
  }

  async #submit(note: string, oldSize: number, size: number, signal: AbortSignal): Promise<BoundedAnswer> {
    const proof = oldSize === 0 || oldSize === size ? [] : await this.#options.consistency(oldSize, size);
    const body = formatAddCheckpoint({ oldSize, proof, checkpoint: note });
    return await this.#fetch("add-checkpoint", {
      method: "POST",
      headers: { "content-type": "text/plain; charset=utf-8" },
      body: new TextEncoder().encode(body),
      maxBytes: MAX_ANSWER_BYTES,
      signal,
    });
  }

  /** @returns the note with the witness's cosignature. @throws NoteError when it is not good, or not the witness's */
  #cosigned(note: string, lines: Buffer): string {
    const { witness, now } = this.#options;
    const [cosignature] = openNote(addSignatures(note, lines.toString("utf8")), [witness]).verified;
    const seconds = cosignature && cosignatureTime(cosignature.signature);
    if (cosignature === undefined || seconds === undefined) throw this.#unexpected(200);
    if (Number(seconds) * 1_000 > now() + MAX_AHEAD_MS) {
      throw new HoopishError("upstream_failed", "the witness's clock is ahead of this machine's by minutes", {
        hint: "one of them is wrong; compare this machine's with a time server",
      });
    }
    // Whatever else it sent is not kept.
    return addSignatures(note, cosignature.line);
  }

  /** What a refusal says: the witness's size (409). @throws HoopishError for every other */
  #sizeOf({ status, type, body }: BoundedAnswer): number {
    if (status === 409 && type === TREE_SIZE_TYPE) return parseTreeSize(body);
    const { origin } = this.#options;
    switch (status) {
      case 403:
        throw new HoopishError("access_denied", `the witness does not take this log's key for ${origin}`, {
          hint: "give its operator the log's verifier key (vkey)",
        });
      case 404:
        throw new HoopishError("not_found", `the witness does not know the log ${origin}`, {
          hint: "give its operator the log's verifier key (vkey)",
        });
      case 422:
        throw new HoopishError("conflict", "the witness has seen another history of this log", {
          hint: "this log was changed or replaced: stop, and compare what the witness holds with the store",
        });
      default:
        throw this.#unexpected(status);
    }
  }

  #unexpected(status: number): HoopishError {
    return new HoopishError("upstream_failed", `${this.#options.url.origin} answered ${status}, not as a witness does`);
  }

  #fetch(path: string, request: Omit<Parameters<typeof boundedFetch>[1], "timeoutMs">): Promise<BoundedAnswer> {
    const { url, timeoutMs = 10_000 } = this.#options;
    const prefix = url.pathname.endsWith("/") ? url.pathname : `${url.pathname}/`;
    return boundedFetch(new URL(prefix + path, url), { ...request, timeoutMs });
  }
}
