import { Frontier } from "../../tlog/merkle.ts";
import type { LeftEdge } from "../manifest.ts";
import type { FindingCode, Place } from "../report.ts";
import type { Findings } from "./findings.ts";

/** A root that the tree must have when it has this size. */
export interface Landmark {
  readonly size: number;
  readonly root: Uint8Array;
  /** Whose word it is: the log's own, in this bundle; or somebody's who saw it before. */
  readonly by: "log" | "outside";
  readonly code: FindingCode;
  /** For people: where the root stands. */
  readonly source: string;
}

/**
 * The tree as records stream by. It begins with the left edge, which must fold to the root of the start, and is compared
 * with every landmark as it gets there: the first that differs says between which records the first bad one is.
 */
export class TreeCheck {
  readonly #findings: Findings;
  readonly #landmarks: Landmark[] = [];
  #frontier = new Frontier();
  #at = 0;
  #nextSize = Number.POSITIVE_INFINITY;
  #lost = false;
  /** Last size at which the tree agreed; undefined once it has not. */
  readonly #agreed: Record<Landmark["by"], number | undefined> = { log: 0, outside: 0 };

  readonly #confirmed = new Set<string>();

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  get size(): number {
    return this.#frontier.size;
  }

  /** Whether the landmark that stands at `source` was reached, and agreed. */
  confirms(source: string): boolean {
    return this.#confirmed.has(source);
  }

  /** Before the first record. */
  expect(landmark: Landmark): void {
    this.#landmarks.push(landmark);
  }

  /** @returns false when the left edge does not fold to `startRoot`: nothing can be compared then */
  begin(edge: LeftEdge, startRoot: Uint8Array): boolean {
    this.#landmarks.sort((left, right) => left.size - right.size);
    try {
      const hashes = edge.hashes.map((hash) => Buffer.from(hash, "base64"));
      this.#frontier = new Frontier(edge.size, hashes);
    } catch {
      this.#lost = true;
    }
    this.#lost ||= !this.#frontier.root().equals(startRoot);
    if (this.#lost) return false;
    this.#agreed.log = edge.size;
    while ((this.#landmarks[this.#at]?.size ?? Number.POSITIVE_INFINITY) < edge.size) this.#at += 1;
    this.#nextSize = this.#landmarks[this.#at]?.size ?? Number.POSITIVE_INFINITY;
    this.#compare();
    return true;
  }

  push(leafHash: Uint8Array): void {
    this.#frontier.push(leafHash);
    if (this.#frontier.size >= this.#nextSize) this.#compare();
  }

  /** Records could not be read: from here on the tree says nothing. */
  lose(): void {
    this.#lost = true;
  }

  #compare(): void {
    if (this.#frontier.size !== this.#nextSize) return;
    const root = this.#frontier.root();
    for (; this.#landmarks[this.#at]?.size === this.#frontier.size; this.#at++) {
      const landmark = this.#landmarks[this.#at] as Landmark;
      if (!this.#lost) this.#judge(landmark, root.equals(landmark.root));
    }
    this.#nextSize = this.#landmarks[this.#at]?.size ?? Number.POSITIVE_INFINITY;
  }

  #judge({ by, size, code, source }: Landmark, agrees: boolean): void {
    const last = this.#agreed[by];
    if (last === undefined || this.#agreed.log === undefined) return;
    if (agrees) {
      this.#agreed[by] = size;
      this.#confirmed.add(source);
      return;
    }
    this.#agreed[by] = undefined;
    const where: Place = { file: source, from: last, to: size };
    this.#findings.add(code, `the records up to ${size} do not have the root that ${source} gives them`, where);
  }
}
