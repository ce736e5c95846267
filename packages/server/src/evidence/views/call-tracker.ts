import { BoundedMap } from "./bounded-map.ts";
import type { BegunCall, EndedCall, Entry, SessionFacts } from "./entry.ts";
import type { Stored } from "./lists.ts";

/** Calls and sessions that are open at one time, at most. Beyond that the oldest are told as if decided before the pass. */
const MAX_OPEN = 10_000;

/** Brings the record that decided a call to the one that ended it, in one pass and in bounded memory. */
export class CallTracker {
  readonly #calls: BoundedMap<string, BegunCall>;
  readonly #sessions: BoundedMap<string, SessionFacts>;

  constructor(maxOpen: number = MAX_OPEN) {
    this.#calls = new BoundedMap(maxOpen);
    this.#sessions = new BoundedMap(maxOpen);
  }

  /** The same entry, with the call that it ended. Entries come in the log's order. */
  follow(entry: Entry): Entry {
    const { record, index, leafHash } = entry;
    switch (record.type) {
      case "call.decided":
        if (record.call !== undefined) this.#calls.set(record.call, { index, leafHash, decided: record });
        return entry;
      case "call.answered":
      case "call.interrupted":
        return { ...entry, call: this.#ended(record) };
      case "session.open":
        if (record.session !== undefined) this.#sessions.set(record.session, factsOf(record));
        return entry;
      default:
        // Also at session.close: a call's end may be recorded after its session's.
        return entry;
    }
  }

  /** Calls that no record has ended so far, in the order in which they were decided. */
  open(): Iterable<BegunCall> {
    return this.#calls.values();
  }

  session(id: string | undefined): SessionFacts | undefined {
    return id === undefined ? undefined : this.#sessions.get(id);
  }

  #ended(ended: EndedCall["ended"]): EndedCall {
    const begun = ended.call === undefined ? undefined : this.#calls.take(ended.call);
    return { ended, begun, session: this.session(ended.session) };
  }
}

function factsOf({ host, client, reason, ticket }: Stored<"session.open">): SessionFacts {
  return { host, client, reason, ticket };
}
