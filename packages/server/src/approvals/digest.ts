import { createHash } from "node:crypto";

/** What an approval is bound to: who asks, where, by which rule, and the request to its last byte. */
export interface Bound {
  readonly principal: { readonly issuer: string; readonly sub: string };
  readonly connection: string;
  readonly rule: string;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly contentType: string | undefined;
  readonly body: Buffer;
}

/**
 * Compared in memory and never written: the hash of a short prompt could be guessed. Each part has its length before it, so
 * that no two requests run together into the same bytes.
 */
export function digestOf(bound: Bound): string {
  const hash = createHash("sha256");
  const add = (part: string | Buffer): void => {
    const bytes = typeof part === "string" ? Buffer.from(part) : part;
    hash.update(`${bytes.length}:`).update(bytes);
  };
  const { principal, connection, rule, method, path, query, contentType, body } = bound;
  for (const part of [principal.issuer, principal.sub, connection, rule, method, path, query]) add(part);
  add(contentType ?? "");
  add(body);
  return hash.digest("base64");
}
