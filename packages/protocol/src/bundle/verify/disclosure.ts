import type { BundleScope, DisclosureFilters } from "../manifest.ts";

/** Whose call it is, as the record that commits to a payload says. */
export interface CallOwner {
  readonly user: string | undefined;
  readonly connection: string | undefined;
  readonly session: string | undefined;
}

export type Disclosure = "disclosed" | "HELD" | "WITHHELD";

/**
 * Whether the payloads of a call belong into this bundle, by what its scope says of itself. `owner` is asked for only
 * where it matters.
 */
export class DisclosureRule {
  readonly #scope: BundleScope;
  readonly #open: boolean;

  constructor(scope: BundleScope) {
    this.#scope = scope;
    this.#open = scope.withheld.length === 0 && Object.keys(scope.filters).length === 0;
  }

  of(owner: () => CallOwner): Disclosure {
    const { payloads, filters, withheld } = this.#scope;
    if (!payloads) return "WITHHELD";
    if (this.#open) return "disclosed";
    const call = owner();
    if (!matches(filters, call)) return "WITHHELD";
    return withheld.some((hold) => matches(hold.filters, call)) ? "HELD" : "disclosed";
  }
}

function matches(filters: DisclosureFilters, call: CallOwner): boolean {
  return (
    (filters.user === undefined || filters.user === call.user) &&
    (filters.connection === undefined || filters.connection === call.connection) &&
    (filters.session === undefined || filters.session === call.session)
  );
}
