import type { ApprovalEvent, ApprovalId, ApprovalView } from "@hoopish/protocol";

/** What an approver is doing: looking at the list or at one request, or writing why he decides as he does. */
export type Mode =
  | { readonly mode: "list" }
  | { readonly mode: "details" }
  | {
      readonly mode: "reason";
      /** Kept from the first key on: what is decided is what was shown, whatever comes and goes meanwhile. */
      readonly id: ApprovalId;
      readonly decision: "approve" | "deny";
      readonly text: string;
    }
  /** What he looked at was settled by others: nothing that he types is taken for another request. Esc goes on. */
  | { readonly mode: "gone" };

export interface InboxState {
  readonly requests: readonly ApprovalView[];
  readonly selected: ApprovalId | undefined;
  readonly mode: Mode;
  readonly remark: string | undefined;
  /** What the server has shown since it was dialled: at `ready` the rest is gone. */
  readonly shown: readonly ApprovalId[];
}

export const EMPTY: InboxState = {
  requests: [],
  selected: undefined,
  mode: { mode: "list" },
  remark: undefined,
  shown: [],
};

/** What a key asks for beyond a change of the state. */
export type Wish =
  | { readonly wish: "quit" }
  | { readonly wish: "details"; readonly id: ApprovalId }
  | {
      readonly wish: "decide";
      readonly id: ApprovalId;
      readonly decision: "approve" | "deny";
      readonly reason: string;
    };

/** The server tells: what may be decided stays, what is settled goes. */
export function told(state: InboxState, { approval, event }: ApprovalEvent): InboxState {
  if (event === "ready") {
    const requests = state.requests.filter(({ id }) => state.shown.includes(id));
    return settle({ ...state, requests, shown: [] });
  }
  if (approval === undefined) return state;
  const others = state.requests.filter(({ id }) => id !== approval.id);
  const known = state.requests.find(({ id }) => id === approval.id);
  const shown = event === "snapshot" ? [...state.shown, approval.id] : state.shown;
  if (approval.state === "pending") {
    const preview = known?.preview === undefined ? {} : { preview: known.preview };
    const requests = [...others, { ...approval, ...preview }].sort((a, b) => (a.requestedAt < b.requestedAt ? -1 : 1));
    return settle({ ...state, requests, shown });
  }
  const remark = known === undefined ? state.remark : `${approval.id} is ${approval.state} (${event})`;
  return settle({ ...state, requests: others, remark });
}

/** A selection that is not there any more moves to the first; and whoever was looking at it must notice before he goes on. */
function settle(state: InboxState): InboxState {
  if (state.requests.some(({ id }) => id === state.selected)) return state;
  const selected = state.requests[0]?.id;
  if (state.selected === undefined) return { ...state, selected };
  return { ...state, selected, mode: { mode: "gone" }, remark: state.remark ?? `${state.selected} is settled` };
}

/** One key. Two steps lead to a decision: the letter, then Enter after the reason. */
export function pressed(state: InboxState, key: string): { readonly state: InboxState; readonly wish?: Wish } {
  if (state.mode.mode === "reason") return typed(state, state.mode, key);
  if (state.mode.mode === "gone" && key !== "\u001b" && key !== "q") return { state };
  const { selected } = state;
  switch (key) {
    case "q":
    case "\u0003":
    case "\u0004":
      return { state, wish: { wish: "quit" } };
    case "\u001b":
      return { state: { ...state, mode: { mode: "list" }, remark: undefined } };
    case "j":
    case "\u001b[B":
      return { state: moved(state, +1) };
    case "k":
    case "\u001b[A":
      return { state: moved(state, -1) };
    case "\r":
    case "\n":
      if (selected === undefined) return { state };
      return { state: { ...state, mode: { mode: "details" } }, wish: { wish: "details", id: selected } };
    case "a":
    case "d": {
      const request = state.requests.find(({ id }) => id === selected);
      if (request === undefined) return { state };
      if (!request.may.decide) return { state: { ...state, remark: "this is not yours to decide" } };
      const decision = key === "a" ? "approve" : "deny";
      return { state: { ...state, mode: { mode: "reason", id: request.id, decision, text: "" }, remark: undefined } };
    }
    default:
      return { state };
  }
}

function typed(
  state: InboxState,
  mode: Extract<Mode, { mode: "reason" }>,
  key: string,
): { readonly state: InboxState; readonly wish?: Wish } {
  const write = (text: string): InboxState => ({ ...state, mode: { ...mode, text } });
  if (key === "\u0003" || key === "\u001b") return { state: { ...state, mode: { mode: "list" } } };
  if (key === "\u007f" || key === "\b") return { state: write([...mode.text].slice(0, -1).join("")) };
  if (key !== "\r" && key !== "\n")
    return { state: /^[^\p{Cc}]+$/u.test(key) ? write((mode.text + key).slice(0, 500)) : state };
  const reason = mode.text.trim();
  if (mode.decision === "deny" && reason === "") return { state: { ...state, remark: "a denial needs a reason" } };
  const wish: Wish = { wish: "decide", id: mode.id, decision: mode.decision, reason };
  return { state: { ...state, mode: { mode: "list" }, remark: undefined }, wish };
}

function moved(state: InboxState, by: 1 | -1): InboxState {
  const at = state.requests.findIndex(({ id }) => id === state.selected);
  const next = Math.min(Math.max(at + by, 0), state.requests.length - 1);
  return { ...state, selected: state.requests[next]?.id };
}
