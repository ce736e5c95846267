import { type ApprovalId, approvalViewSchema, HoopishError } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { safeDeep } from "../terminal/safe-text.ts";
import { wantsColour } from "../terminal/style.ts";
import { followApprovals } from "./feed.ts";
import { EMPTY, type InboxState, pressed, told, type Wish } from "./state.ts";
import { type InboxStore, startInboxView } from "./view.tsx";

/** An approver's inbox on a terminal: what waits comes by itself, keys decide. Ends with q, or with the sign-in. */
export async function runInbox(context: Context): Promise<void> {
  const { world } = context;
  const store = new Store();
  const stopped = new AbortController();
  const signal = AbortSignal.any([context.signal, stopped.signal]);
  const view = startInboxView(store, world.stdout, wantsColour(world.stdout, world.env), world.now);
  const following = follow(context, store, stopped);
  try {
    for (;;) {
      const quits = await type(await world.stdin.key(signal), context, store);
      if (quits) break;
    }
  } catch (error) {
    if (!stopped.signal.aborted) throw error;
  } finally {
    await view.close();
  }
  stopped.abort();
  await Promise.race([following, Promise.resolve()]);
}

/** What was typed at once: an escape sequence is one key, anything else one for each character. @returns whether to end */
async function type(typed: string, context: Context, store: Store): Promise<boolean> {
  for (const key of typed.startsWith("\u001b") ? [typed] : typed) {
    const { state, wish } = pressed(store.snapshot(), key);
    store.set(state);
    if (wish?.wish === "quit") return true;
    if (wish !== undefined) await fulfil(wish, context, store);
  }
  return false;
}

async function follow(context: Context, store: Store, stopped: AbortController): Promise<void> {
  try {
    for await (const event of followApprovals(context)) {
      if (stopped.signal.aborted) return;
      store.set(told(store.snapshot(), safeDeep(event)));
    }
  } catch (error) {
    store.set({
      ...store.snapshot(),
      remark: error instanceof HoopishError ? safeDeep(error.message) : "the server is gone",
    });
  }
}

async function fulfil(wish: Exclude<Wish, { wish: "quit" }>, context: Context, store: Store): Promise<void> {
  const api = await context.api();
  const path = `/api/v1/approvals/${wish.id}`;
  try {
    if (wish.wish === "details") {
      store.replace(wish.id, safeDeep(await api.get(path, approvalViewSchema)));
      return;
    }
    const reason = wish.reason === "" ? {} : { reason: wish.reason };
    const decided = await api.post(`${path}/decisions`, { decision: wish.decision, ...reason }, approvalViewSchema);
    // The view goes on with the next one by itself: this one was settled by who looks at it.
    const { requests, ...state } = store.snapshot();
    const left = decided.state === "pending" ? requests : requests.filter(({ id }) => id !== wish.id);
    const word =
      wish.decision === "deny" ? "denied" : decided.state === "pending" ? "noted, others must approve too" : "approved";
    const selected = left.some(({ id }) => id === state.selected) ? state.selected : left[0]?.id;
    store.set({ ...state, requests: left, selected, mode: { mode: "list" }, remark: `${word}: ${wish.id}` });
  } catch (error) {
    if (!(error instanceof HoopishError)) throw error;
    store.set({ ...store.snapshot(), remark: safeDeep(error.message) });
  }
}

class Store implements InboxStore {
  #state: InboxState = EMPTY;
  readonly #listeners = new Set<() => void>();

  readonly snapshot = (): InboxState => this.#state;
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  set(state: InboxState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }

  replace(id: ApprovalId, request: InboxState["requests"][number]): void {
    const requests = this.#state.requests.map((one) => (one.id === id ? request : one));
    this.set({ ...this.#state, requests });
  }
}
