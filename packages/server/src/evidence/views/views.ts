import { callTable } from "./call-table.ts";
import { CallTracker } from "./call-tracker.ts";
import { entryOf, type LogLine } from "./entry.ts";
import type { OcsfSource } from "./ocsf/event.ts";
import { ocsfView } from "./ocsf/ocsf.ts";
import { accessTable, approvalTable } from "./record-tables.ts";
import type { View } from "./view.ts";

/** The views of the log, as they are named in a bundle's `views/`. */
export const VIEW_NAMES = ["calls.csv", "approvals.csv", "access.csv", "ocsf.ndjson"] as const;
export type ViewName = (typeof VIEW_NAMES)[number];

const MAKERS: Readonly<Record<ViewName, (source: OcsfSource) => View>> = {
  "calls.csv": callTable,
  "approvals.csv": approvalTable,
  "access.csv": accessTable,
  "ocsf.ndjson": ocsfView,
};

/**
 * Several views from one pass over the log: pure, from records to text. What they make waits here until it is taken, so
 * memory is bounded when it is taken once in a while; besides that, only calls and sessions that are open are kept.
 */
export class Views {
  readonly #views: readonly { readonly name: ViewName; readonly view: View }[];
  readonly #text = new Map<ViewName, string>();
  readonly #tracker = new CallTracker();

  constructor(names: readonly ViewName[], source: OcsfSource) {
    this.#views = names.map((name) => ({ name, view: MAKERS[name](source) }));
    for (const { name, view } of this.#views) this.#text.set(name, view.head);
  }

  /** The next record, in the log's order. */
  push(line: LogLine): void {
    const entry = this.#tracker.follow(entryOf(line));
    for (const { name, view } of this.#views) this.#add(name, view.add(entry));
  }

  /** There are no more records. */
  end(): void {
    for (const call of this.#tracker.open()) {
      const session = this.#tracker.session(call.decided.session);
      for (const { name, view } of this.#views) this.#add(name, view.addOpen(call, session));
    }
  }

  /** What a view has made since this was last asked. */
  take(name: ViewName): Buffer {
    const text = this.#text.get(name) ?? "";
    this.#text.set(name, "");
    return Buffer.from(text);
  }

  #add(name: ViewName, text: string): void {
    if (text !== "") this.#text.set(name, (this.#text.get(name) ?? "") + text);
  }
}
