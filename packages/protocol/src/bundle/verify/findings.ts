import { type Finding, type FindingCode, isTampering, MAX_FINDINGS, type Place, type Verdict } from "../report.ts";

/** What was found so far. Bounded: a bundle that is wrong everywhere says so without filling the memory. */
export class Findings {
  readonly #list: Finding[] = [];
  #omitted = 0;
  #tampered = false;

  add(code: FindingCode, message: string, where: Place = {}): void {
    const tampering = isTampering(code);
    this.#tampered ||= tampering;
    const finding = { code, message, where };
    if (this.#list.length < MAX_FINDINGS) {
      this.#list.push(finding);
      return;
    }
    this.#omitted += 1;
    // Thousands of missing payloads must not crowd out the one edited record.
    const lesser = tampering ? this.#list.findLastIndex((one) => !isTampering(one.code)) : -1;
    if (lesser !== -1) this.#list.splice(lesser, 1, finding);
  }

  get list(): readonly Finding[] {
    return this.#list;
  }

  get omitted(): number {
    return this.#omitted;
  }

  get verdict(): Verdict {
    if (this.#tampered) return "tampered";
    return this.#list.length > 0 ? "incomplete" : "verified";
  }
}
