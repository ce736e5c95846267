import type { Principal } from "./principal.ts";

/** Remembered at once, at most; whoever came longest ago is forgotten first. */
const MAX_SEEN = 10_000;

/**
 * Who has shown a good token lately, for decisions that come without one (a button in a chat): the groups are those of the
 * token, and the memory ends with it.
 */
export class SeenPrincipals {
  readonly #byUser = new Map<string, Principal>();

  add(principal: Principal): void {
    if (principal.kind !== "human") return;
    this.#byUser.delete(principal.user);
    this.#byUser.set(principal.user, principal);
    if (this.#byUser.size <= MAX_SEEN) return;
    for (const oldest of this.#byUser.keys()) {
      this.#byUser.delete(oldest);
      break;
    }
  }

  find(user: string, nowMs: number): Principal | undefined {
    const principal = this.#byUser.get(user);
    return principal !== undefined && principal.expiresAtMs > nowMs ? principal : undefined;
  }
}
