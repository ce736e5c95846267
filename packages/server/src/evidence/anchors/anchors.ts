import type { Checkpoint } from "@hoopish/protocol";
import type { Anchor } from "./anchor.ts";
import { AnchorRun, type AnchorStatus, type AnchorsPorts } from "./anchor-run.ts";

/** How long the last checkpoints may take to reach their anchors when the server ends. */
const CLOSE_MS = 3_000;

/**
 * Carries every signed checkpoint to the anchors, each at its own pace and with its own failures. The log never waits for
 * it: `publish` returns at once.
 */
export class Anchors {
  readonly #runs: readonly AnchorRun[];

  constructor(anchors: readonly Anchor[], ports: AnchorsPorts) {
    this.#runs = anchors.map((anchor) => new AnchorRun(anchor, ports));
  }

  /** @param note signed and persisted; in the order of sizes */
  publish(note: string, checkpoint: Checkpoint): void {
    for (const run of this.#runs) run.offer({ note, checkpoint });
  }

  status(): readonly AnchorStatus[] {
    return this.#runs.map((run) => run.status());
  }

  /** Tries once more to bring each anchor what it lacks, for a short time, then ends. */
  async close(withinMs: number = CLOSE_MS): Promise<void> {
    await Promise.all(this.#runs.map((run) => run.close(withinMs)));
  }
}
