import { createHash } from "node:crypto";
import type { RecordActor } from "@hoopish/protocol";
import type { ActorOf, Principal } from "./principal.ts";

/**
 * The hash of a principal's groups in records: lower-case hex of SHA-256 over the UTF-8 bytes of the distinct group
 * names, sorted by UTF-16 code units (as RFC 8785 sorts), joined by one line feed each, with none at the end. No name
 * holds a line feed. No groups: the hash of nothing, e3b0c442….
 */
export function groupsHash(groups: readonly string[]): string {
  const sorted = [...new Set(groups)].sort();
  return createHash("sha256").update(sorted.join("\n"), "utf8").digest("hex");
}

/** Frozen, so that its canonical form may be kept: one principal acts in thousands of records. */
export const actorOf: ActorOf = (principal: Principal): RecordActor =>
  Object.freeze({
    sub: principal.sub,
    iss: principal.issuer,
    name: principal.user,
    groups_hash: groupsHash(principal.groups),
    kind: principal.kind,
    ...(principal.amr === undefined ? {} : { amr: Object.freeze([...principal.amr]) }),
  });
