import type { ErrorCode } from "@hoopish/protocol";

/** Why a session ended, as it stands in session.close. */
export interface SessionEnd {
  readonly reason: string;
  readonly code: ErrorCode;
  /** Who ended it, when somebody other than its owner did. */
  readonly by?: string;
  /** Nothing was withdrawn: the client may open another one, here or at another server. */
  readonly mayReturn?: true;
}

/** What ends with its session. */
export interface EndListener {
  /** Where it stands among its session's listeners; the session's own, -1 at first. */
  place: number;
  sessionEnded(end: SessionEnd): void;
  /** Other rules are in force. */
  policyChanged?(): void;
}

/**
 * In no order. An array whose gaps are filled by the last one, and no Set: each call comes and goes twice, V8's Set leaves
 * a table behind every few dozen changes, and old tables keep the calls in them alive until the next full collection.
 */
export class EndListeners {
  #items: EndListener[] = [];

  add(listener: EndListener): void {
    listener.place = this.#items.length;
    this.#items.push(listener);
  }

  /** Does nothing for one that is not here. */
  remove(listener: EndListener): void {
    const { place } = listener;
    if (place === -1) return;
    listener.place = -1;
    const last = this.#items.pop() as EndListener;
    if (last === listener) return;
    this.#items[place] = last;
    last.place = place;
  }

  /** Of now: a listener that leaves meanwhile is still told. */
  snapshot(): readonly EndListener[] {
    return this.#items.slice();
  }

  takeAll(): readonly EndListener[] {
    const items = this.#items;
    this.#items = [];
    for (const item of items) item.place = -1;
    return items;
  }
}
