import type { WitnessEvent } from "./events.ts";
import { keepFinding } from "./findings-file.ts";
import type { Interior } from "./http-front.ts";
import type { Answer, Judged, Witness } from "./witness.ts";

/** Told at most so often of requests that nobody known has signed: anybody can send them. */
const IGNORED_EVERY_MS = 10_000;

/** Between HTTP and the witness: tells the operator what happens, and keeps findings. */
export class Desk implements Interior {
  readonly #witness: Witness;
  readonly #now: () => number;
  readonly #tell: (event: WitnessEvent) => void;
  readonly #findings: string;
  #ignored = 0;
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(witness: Witness, now: () => number, tell: (event: WitnessEvent) => void, findings: string) {
    this.#witness = witness;
    this.#now = now;
    this.#tell = tell;
    this.#findings = findings;
  }

  add(body: Buffer): Answer {
    const time = new Date(this.#now()).toISOString();
    let judged: Judged;
    try {
      judged = this.#witness.add(body);
    } catch (error) {
      const message = `the state could not be written: ${error instanceof Error ? error.message : "unknown"}`;
      this.#tell({ event: "failed", time, message });
      return { status: 500, type: "text/plain; charset=utf-8", body: "the witness cannot write\n" };
    }
    this.#report(time, judged);
    return judged.answer;
  }

  newest(originHash: string): Answer {
    return this.#witness.newest(originHash);
  }

  close(): void {
    if (this.#ignored > 0) this.#tellIgnored(new Date(this.#now()).toISOString(), 0);
  }

  #report(time: string, { answer: { status }, verdict }: Judged): void {
    switch (verdict.kind) {
      case "cosigned":
        this.#tell({ event: "cosigned", time, origin: verdict.origin, size: verdict.size });
        break;
      case "refused": {
        const { origin, reason, finding } = verdict;
        this.#tell({ event: "refused", time, origin, status, reason, finding: finding !== undefined });
        if (finding !== undefined) this.#keep(time, reason, finding);
        break;
      }
      case "ignored":
        this.#ignored += 1;
        if (performance.now() - this.#toldMs >= IGNORED_EVERY_MS) this.#tellIgnored(time, status);
    }
  }

  #tellIgnored(time: string, lastStatus: number): void {
    this.#tell({ event: "ignored", time, count: this.#ignored, lastStatus });
    this.#ignored = 0;
    this.#toldMs = performance.now();
  }

  #keep(time: string, reason: string, note: string): void {
    try {
      keepFinding(this.#findings, time, reason, note);
    } catch (error) {
      const message = `a finding could not be kept: ${error instanceof Error ? error.message : "unknown"}`;
      this.#tell({ event: "failed", time, message });
    }
  }
}
