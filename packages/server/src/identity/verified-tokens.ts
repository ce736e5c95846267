import { createHash } from "node:crypto";
import type { Principal } from "./principal.ts";

/** A withdrawn key or a changed claim takes effect after so long at the latest. */
const MAX_AGE_MS = 60_000;
const MAX_ENTRIES = 10_000;

/** Tokens that were good a moment ago, by their SHA-256: never the token itself, and never beyond its expiry. */
export class VerifiedTokens {
  readonly #entries = new Map<string, { readonly principal: Principal; readonly untilMs: number }>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  get(token: string): Principal | undefined {
    const key = keyOf(token);
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const nowMs = this.#now();
    // A clock that was set back must not make an entry last longer.
    if (nowMs < entry.untilMs && nowMs >= entry.untilMs - MAX_AGE_MS) return entry.principal;
    this.#entries.delete(key);
    return undefined;
  }

  add(token: string, principal: Principal): void {
    const untilMs = Math.min(this.#now() + MAX_AGE_MS, principal.expiresAtMs);
    if (untilMs <= this.#now()) return;
    const oldest = this.#entries.size >= MAX_ENTRIES ? this.#entries.keys().next().value : undefined;
    if (oldest !== undefined) this.#entries.delete(oldest);
    this.#entries.set(keyOf(token), { principal, untilMs });
  }
}

const keyOf = (token: string): string => createHash("sha256").update(token).digest("base64");
