/**
 * What the contract names and this version does not do. Each is refused by name: to pass over a `masking` in
 * silence would be to run without the protection that somebody wrote down. An entry goes when its feature comes.
 */

const refuse = (what: string): string =>
  `${what} not built yet in this version; hoopish-server refuses to start rather than run without it`;

/** Paths with `*` for each index. */
const UNBUILT_KEYS: ReadonlyMap<string, string> = new Map([
  ["connections.*.record", refuse("record (what of an answer is kept) is")],
  ["rules.*.record", refuse("record (what of an answer is kept) is")],
]);

export function unbuiltKey(path: readonly (string | number)[]): string | undefined {
  return UNBUILT_KEYS.get(path.map((step) => (typeof step === "number" ? "*" : step)).join("."));
}

export const UNBUILT_STORE: string = refuse("the PostgreSQL store (postgres://) is");
