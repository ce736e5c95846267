import type { LockKind, LockView } from "@hoopish/protocol";

/** Who and what is shut out now. Asked on every call's path: in memory, and at once. */
export interface Locks {
  /** The lock that shuts this out; user: the name that rules know, compared exactly. */
  find(kind: LockKind, name: string): LockView | undefined;
}
