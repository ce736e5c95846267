import type { CallEvent, WaitingEvent } from "@hoopish/protocol";
import type { ConnectEvent, ReadyEvent } from "./events.ts";

/** What the live view shows: a snapshot, replaced as a whole. */
export interface BoardState {
  readonly connections: readonly (ReadyEvent & { readonly state: "open" | "reconnecting" | "closed" })[];
  /** The last calls, newest last. */
  readonly calls: readonly (CallEvent & { readonly connection: string })[];
  readonly totals: {
    readonly calls: number;
    readonly refused: number;
    readonly failed: number;
    readonly bytes: number;
    /** Values that were masked, both ways. */
    readonly masked: number;
  };
  /** Calls that wait for an approval, until they end. */
  readonly waiting: readonly WaitingEvent[];
  /** The last thing that a person should know. */
  readonly remark: string | undefined;
}

/** A terminal cannot show more, and a busy connection must not be slowed down by its picture. */
const FRAME_MS = 100;
const LAST_CALLS = 10;

/** Gathers events and tells its listeners at most ten times a second. */
export class Board {
  #state: BoardState = {
    connections: [],
    calls: [],
    waiting: [],
    totals: { calls: 0, refused: 0, failed: 0, bytes: 0, masked: 0 },
    remark: undefined,
  };
  #next: BoardState = this.#state;
  #timer: NodeJS.Timeout | undefined;
  readonly #listeners = new Set<() => void>();

  readonly snapshot = (): BoardState => this.#state;
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  add(event: ConnectEvent): void {
    this.#next = reduce(this.#next, event);
    this.#timer ??= setTimeout(() => this.flush(), FRAME_MS);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // A new object each time: it tells the view to draw, though only the clock may have moved.
    this.#state = { ...this.#next };
    for (const listener of this.#listeners) listener();
  }
}

function reduce(state: BoardState, event: ConnectEvent): BoardState {
  switch (event.event) {
    case "ready": {
      const others = state.connections.filter(({ connection }) => connection !== event.connection);
      return { ...state, connections: [...others, { ...event, state: "open" }], remark: undefined };
    }
    case "call": {
      const { totals } = state;
      return {
        ...state,
        calls: [...state.calls, event].slice(-LAST_CALLS),
        waiting: state.waiting.filter(({ call }) => call !== event.call),
        totals: {
          calls: totals.calls + 1,
          refused: totals.refused + (event.verdict === "block" ? 1 : 0),
          failed: totals.failed + (event.status >= 500 ? 1 : 0),
          bytes: totals.bytes + event.bytes.delivered,
          masked: totals.masked + (event.masked ?? 0),
        },
      };
    }
    case "waiting_approval":
      return { ...state, waiting: [...state.waiting, event].slice(-LAST_CALLS) };
    case "reconnecting":
      return { ...state, ...marked(state, event.connections, "reconnecting"), remark: event.message };
    case "revoked":
      return { ...state, ...marked(state, [event.connection], "closed"), remark: event.reason };
    case "sign_in_ending":
      return { ...state, remark: `your sign-in cannot be renewed: ${event.message}` };
    case "closed":
      return { ...state, ...marked(state, [event.connection], "closed") };
  }
}

function marked(
  state: BoardState,
  names: readonly string[],
  as: BoardState["connections"][number]["state"],
): Pick<BoardState, "connections"> {
  return {
    connections: state.connections.map((one) => (names.includes(one.connection) ? { ...one, state: as } : one)),
  };
}
