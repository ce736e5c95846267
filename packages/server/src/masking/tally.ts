import { HoopishError } from "@hoopish/protocol";
import type { Action, MaskPlan } from "./plan.ts";

/** Digests of one call that are kept. */
const MAX_DIGESTS = 100;
/** Values of one body whose digest is remembered. */
const MAX_KNOWN = 1_000;
/** Bytes of a digest; two values of one call that have the same are one value. */
const DIGEST_BYTES = 9;

/** Counts what was masked in one body, and keeps of each value a digest that nobody without the server's key can make. */
export class Tally {
  readonly #plan: MaskPlan;
  readonly counts: Map<string, number> = new Map();
  readonly digests: Set<string> = new Set();
  readonly #macs = new Map<string, Buffer>();

  constructor(plan: MaskPlan) {
    this.#plan = plan;
  }

  /**
   * What stands for a value.
   * @param value as detectors saw it
   * @throws HoopishError policy_blocked
   */
  replace(type: string, value: string, action: Action = this.#plan.actions.get(type) ?? REDACT): string {
    this.counts.set(type, (this.counts.get(type) ?? 0) + 1);
    const mac = this.digests.size < MAX_DIGESTS || action.kind === "pseudonym" ? this.#macOf(value) : undefined;
    if (mac !== undefined && this.digests.size < MAX_DIGESTS) {
      this.digests.add(`${type}:${mac.toString("base64url", 0, DIGEST_BYTES)}`);
    }
    switch (action.kind) {
      case "redact":
        return `[${type}]`;
      case "pseudonym":
        return `[${type}:${mac?.toString("hex", 0, 6)}]`;
      case "mask":
        return starred(value, action.keepLast);
      case "block":
        throw new HoopishError("policy_blocked", `it holds ${type}, which must not pass here`);
    }
  }

  /** The same for every way to write a value. */
  #macOf(value: string): Buffer {
    let mac = this.#macs.get(value);
    if (mac === undefined) {
      mac = this.#plan.mac(value.replace(/[^\p{L}\p{N}@.]/gu, "").toLowerCase());
      if (this.#macs.size < MAX_KNOWN) this.#macs.set(value, mac);
    }
    return mac;
  }

  /** What was counted beside it. */
  add(other: Tally): void {
    for (const [type, count] of other.counts) this.counts.set(type, (this.counts.get(type) ?? 0) + count);
    for (const digest of other.digests) if (this.digests.size < MAX_DIGESTS) this.digests.add(digest);
  }

  /** For records; undefined when nothing was found. */
  masked(): Readonly<Record<string, number>> | undefined {
    return this.counts.size === 0 ? undefined : Object.fromEntries([...this.counts].sort());
  }
}

const REDACT: Action = { kind: "redact" };

/** Letters and digits become stars, but for the last ones; what stands between them stays, so that a form stays one. */
function starred(value: string, keepLast: number): string {
  const plain = value.replace(/["\\\p{Cc}]/gu, " ");
  const total = plain.replace(/[^\p{L}\p{N}]/gu, "").length;
  // Never all of it, however short it is.
  const keep = Math.min(keepLast, Math.floor(total / 2));
  let seen = 0;
  return plain.replace(/[\p{L}\p{N}]/gu, (char) => (++seen > total - keep ? char : "*"));
}
