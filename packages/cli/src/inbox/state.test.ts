import { type ApprovalView, newApprovalId, newCallId, newSessionId } from "@hoopish/protocol";
import { describe, expect, it } from "vitest";
import { EMPTY, type InboxState, pressed, told, type Wish } from "./state.ts";

let second = 0;
const request = (over: Partial<ApprovalView> = {}): ApprovalView => ({
  id: newApprovalId(),
  state: "pending",
  requestedAt: `2026-03-02T09:00:${String(second++ % 60).padStart(2, "0")}.000Z`,
  expiresAt: "2026-03-02T10:00:00.000Z",
  user: "scientist@bank.example",
  connection: "credit",
  session: newSessionId(),
  call: newCallId(),
  rule: "bulk-prediction",
  method: "POST",
  path: "/v2/models/credit/infer",
  operation: { kind: "infer", rows: 5_000 },
  bytes: 10,
  scope: "call",
  quorum: 1,
  groups: ["risk-officers"],
  decisions: [],
  before: { requests: 0, approved: 0, denied: 0 },
  may: { decide: true, breakGlass: false, review: false },
  ...over,
});
const inbox = (...requests: readonly ApprovalView[]): InboxState =>
  requests.reduce((state, approval) => told(state, { event: "snapshot", approval }), EMPTY);
function type(state: InboxState, ...keys: readonly string[]): { state: InboxState; wishes: Wish[] } {
  const wishes: Wish[] = [];
  for (const key of keys) {
    const next = pressed(state, key);
    state = next.state;
    if (next.wish !== undefined) wishes.push(next.wish);
  }
  return { state, wishes };
}

describe("an approver's inbox", () => {
  const [first, second, third] = [
    request(),
    request(),
    request({ may: { decide: false, breakGlass: false, review: false } }),
  ];

  it("decides in two steps, with the reason that was typed", () => {
    expect(type(inbox(first), "a").wishes).toEqual([]);
    expect(type(inbox(first), "a", "o", "k", "x", "\u007f", "\r").wishes).toEqual([
      { wish: "decide", id: first.id, decision: "approve", reason: "ok" },
    ]);
    expect(type(inbox(first, second), "j", "d", "no ticket", "\r").wishes).toEqual([
      { wish: "decide", id: second.id, decision: "deny", reason: "no ticket" },
    ]);
  });

  it("denies nothing without a reason, and decides nothing that is another's", () => {
    const { state, wishes } = type(inbox(first), "d", "\r");
    expect([wishes, state.remark]).toEqual([[], "a denial needs a reason"]);
    expect(type(inbox(third), "a", "\r").wishes).toEqual([{ wish: "details", id: third.id }]);
    expect(type(inbox(first), "a", "\u001b", "\r").wishes).toEqual([{ wish: "details", id: first.id }]);
    expect(type(EMPTY, "a", "d", "\r", "j", "k").wishes).toEqual([]);
  });

  it("never decides about another request than the one that was shown when it goes away meanwhile", () => {
    const { state } = type(inbox(first, second), "a", "s", "t");
    const settled = told(state, { event: "granted", approval: { ...first, state: "approved" } });
    expect(settled).toMatchObject({ mode: { mode: "gone" }, remark: expect.stringContaining("approved") });
    expect(type(settled, ..."andard", "\r", "a", "\r").wishes).toEqual([]);
    expect(type(settled, "\u001b", "\r").wishes).toEqual([{ wish: "details", id: second.id }]);
    const listed = told(inbox(first, second), { event: "denied", approval: { ...first, state: "denied" } });
    expect(type(listed, "a", "x", "\r").wishes).toEqual([]);
  });

  it("forgets what was settled while the line was down", () => {
    const before = told(inbox(first, second), { event: "ready" });
    const snapshot = told(before, { event: "snapshot", approval: second });
    expect(told(snapshot, { event: "ready" }).requests.map(({ id }) => id)).toEqual([second.id]);
  });

  it("quits with q, and not while a reason is typed", () => {
    expect(type(inbox(first), "q").wishes).toEqual([{ wish: "quit" }]);
    expect(type(inbox(first), "a", "q").wishes).toEqual([]);
  });
});
