import { hash, type X509Certificate } from "node:crypto";
import { HoopishError } from "../../errors.ts";
import { TimestampError, verifyTimestamp } from "../../timestamp/index.ts";
import { BundleError } from "../bundle-error.ts";
import { anchorPath } from "../layout.ts";
import type { BundleScope } from "../manifest.ts";
import type { CheckedAnchor, Unchecked } from "../report.ts";
import type { Findings } from "./findings.ts";
import type { Keyring, TrustedCheckpoint } from "./keyring.ts";
import type { VerifyOptions } from "./options.ts";
import type { TreeCheck } from "./tree-check.ts";

export const PIN = "pin";

interface Seen {
  readonly checkpoint: TrustedCheckpoint;
  /** Unix milliseconds, by a time-stamp authority. */
  stampedMs?: number;
}

/**
 * Checkpoints that somebody outside has seen. Without one, a log that was cut back to an older state, or written anew and
 * signed again with its own key, is as good as the real one: nothing inside a bundle can show it.
 */
export class OutsideCheckpoints {
  readonly #keys: Keyring;
  readonly #findings: Findings;
  readonly #tree: TreeCheck;
  readonly #authorities: readonly X509Certificate[];
  readonly #pin: TrustedCheckpoint | undefined;
  readonly #seen = new Map<string, Seen>();
  readonly #unchecked: Unchecked[] = [];
  #lastNote: { readonly name: string; readonly bytes: Buffer; readonly seen: Seen } | undefined;

  /** @throws HoopishError usage when the pin is not signed by a key that was given */
  constructor(keys: Keyring, findings: Findings, tree: TreeCheck, options: Pick<VerifyOptions, "pin" | "authorities">) {
    this.#keys = keys;
    this.#findings = findings;
    this.#tree = tree;
    this.#authorities = options.authorities ?? [];
    if (options.pin !== undefined) this.#pin = openPin(keys, options.pin);
  }

  /** Compares the pin with what the bundle says it is. */
  begin(scope: BundleScope): void {
    if (this.#pin !== undefined) this.#expect(scope, PIN, { checkpoint: this.#pin });
  }

  /** anchors/<name>.note: a checkpoint that went out, with the cosignatures that came back. @throws BundleError */
  note(scope: BundleScope, name: string, bytes: Buffer): void {
    const seen = { checkpoint: this.#keys.checkpoint(bytes) };
    this.#lastNote = { name, bytes, seen };
    this.#expect(scope, anchorPath(name), seen);
  }

  /** anchors/<name>.tsr: an RFC 3161 response over the bytes of the note of that name, which stands before it. */
  timestamp(name: string, bytes: Buffer): void {
    const path = anchorPath(name);
    const note = this.#lastNote;
    if (note === undefined || note.name.replace(/\.note$/, "") !== name.replace(/\.tsr$/, "")) {
      throw new BundleError("file_unexpected", "a timestamp without its checkpoint in front of it");
    }
    if (this.#authorities.length === 0) {
      this.#unchecked.push({
        code: "timestamp",
        message: `${path}: no certificate of a time-stamp authority was given`,
      });
      return;
    }
    try {
      const imprint = hash("sha256", note.bytes, "buffer");
      note.seen.stampedMs = verifyTimestamp(bytes, { imprint, authorities: this.#authorities }).genTimeMs;
    } catch (cause) {
      if (!(cause instanceof TimestampError)) throw cause;
      const message = `it does not show when ${anchorPath(note.name)} was there: ${cause.message}`;
      throw new BundleError("anchor_differs", message, { cause });
    }
  }

  other(name: string): void {
    const message = `${anchorPath(name)} is of a kind that this verifier does not know`;
    this.#unchecked.push({ code: "anchor", message });
  }

  #expect(scope: BundleScope, source: string, seen: Seen): void {
    const { origin, size, root } = seen.checkpoint;
    const isPin = source === PIN;
    if (origin !== scope.origin) {
      this.#findings.add("origin_differs", `${source} is a checkpoint of another log`, { file: source });
    } else if (size > scope.end) {
      const message = `${source} shows that the log had ${size} records; this bundle ends with ${scope.end}. It is older, or records are kept back`;
      this.#findings.add(isPin ? "older_than_pin" : "older_than_anchor", message, { file: source });
    } else if (size < scope.start) {
      const message = `${source} is of ${size} records, from before this bundle's range: it says nothing about it`;
      this.#unchecked.push({ code: "checkpoint_before_range", message });
    } else {
      this.#seen.set(source, seen);
      this.#tree.expect({ size, root, by: "outside", code: isPin ? "pin_differs" : "anchor_differs", source });
    }
  }

  /** Those that the tree agreed with. */
  checked(): CheckedAnchor[] {
    return [...this.#seen]
      .filter(([source]) => this.#tree.confirms(source))
      .map(([source, { checkpoint, stampedMs }]) => {
        const ms = stampedMs ?? checkpoint.witnessedMs;
        const time = ms === undefined ? {} : { time: new Date(ms).toISOString() };
        return { source, size: checkpoint.size, witnesses: checkpoint.witnesses, ...time };
      });
  }

  unchecked(end: number): readonly Unchecked[] {
    // What only the log has signed, and the exporter has put in, is nobody's word but the log's.
    const outside = this.checked().filter(
      ({ source, witnesses, time }) => source === PIN || witnesses.length > 0 || time !== undefined,
    );
    const size = Math.max(-1, ...outside.map((anchor) => anchor.size));
    if (size === end) return this.#unchecked;
    const what =
      size === -1
        ? "no checkpoint known from outside confirms this log: had it been cut back to an older genuine state, or written anew and signed again with its own key, it would look the same"
        : `no checkpoint known from outside confirms the records from ${size} on: had they been cut off or written anew with the log's own key, it would look the same`;
    return [{ code: "no_outside_checkpoint", message: what }, ...this.#unchecked];
  }
}

function openPin(keys: Keyring, pin: string | Uint8Array): TrustedCheckpoint {
  try {
    return keys.checkpoint(typeof pin === "string" ? Buffer.from(pin) : pin);
  } catch (cause) {
    if (!(cause instanceof BundleError)) throw cause;
    throw new HoopishError("usage", `the checkpoint that was given cannot be used: ${cause.message}`, {
      hint: "a signed checkpoint of this log, and the key that signed it",
      cause,
    });
  }
}
