import { HoopishError, newCallId, newSessionId, type RecordDraft } from "@hoopish/protocol";
import { afterEach, describe, expect, test } from "vitest";
import type { EvidenceLog } from "../evidence/port.ts";
import { actorOf } from "../identity/actor.ts";
import type { Principal } from "../identity/principal.ts";
import { Approvals } from "./approvals.ts";
import type { HeldCall } from "./port.ts";
import { previewOf } from "./preview.ts";

const person = (user: string, groups: readonly string[] = ["leads"], more: Partial<Principal> = {}): Principal => ({
  ...{ sub: `sub-${user}`, issuer: "https://idp", kind: "human", user, name: user, groups, amr: undefined },
  expiresAtMs: 8e15,
  ...more,
});
const by = (principal: Principal) => ({ principal, actor: actorOf(principal) });
const ann = person("ann", ["staff"]);
const session = newSessionId();
const opened: Approvals[] = [];
afterEach(() => {
  for (const one of opened.splice(0)) one.close();
});

function desk() {
  const records: RecordDraft[] = [];
  const at = { now: 1_000_000, broken: false, locked: "" };
  const append = async (drafts: readonly RecordDraft[]): Promise<number> => {
    await new Promise((resolve) => setImmediate(resolve));
    if (at.broken) throw new HoopishError("evidence_unavailable", "the disk is full");
    return records.push(...drafts) - drafts.length;
  };
  const log: EvidenceLog = { append, writable: true, pendingBytes: 0, close: async () => undefined };
  const approvals = new Approvals({
    log,
    now: () => at.now,
    breakGlassOf: () => ["oncall"],
    isLocked: (user) => at.locked === user,
    report: () => undefined,
  });
  opened.push(approvals);
  const count = (type: string): number => records.filter((record) => record.type === type).length;
  return { approvals, at, count };
}

function heldCall(more: Partial<HeldCall> = {}, quorum = 1, scope: "call" | "session" = "call"): HeldCall {
  const principal = more.principal ?? ann;
  const times = { waitMs: 1_000, expiresMs: 60_000, windowMs: 10_000 };
  return {
    ...{
      call: newCallId(),
      session,
      principal,
      actor: actorOf(principal),
      connection: "llm",
      rule: "big",
      policy: "p1",
    },
    approval: { groups: ["leads"], quorum, scope, breakGlass: ["oncall"], ...times },
    ...{
      reason: undefined,
      ticket: undefined,
      method: "POST",
      path: "/v1/x",
      query: "",
      contentType: "application/json",
    },
    ...{ body: Buffer.from("{}"), operation: { kind: "generic" } },
    ...more,
  };
}
function ask(approvals: Approvals, held: HeldCall) {
  const { approval } = approvals.hold(held);
  approvals.published(approval);
  return approval;
}
const codeOf = (act: () => unknown): Promise<string> =>
  Promise.resolve()
    .then(act)
    .then(
      () => "ok",
      (error: unknown) => (error instanceof HoopishError ? error.code : String(error)),
    );
const yes = { decision: "approve" } as const;
const no = { decision: "deny", reason: "no" } as const;

describe("who decides", () => {
  test.each([
    ["who asked", person("ann", ["leads"])],
    ["his account at another issuer", person("ann2", ["leads"], { sub: "sub-ann", issuer: "https://other" })],
    ["his name under another sub", person("ANN", ["leads"], { sub: "else" })],
    ["a service", person("bot", ["leads"], { kind: "service" })],
    ["who has left the group", person("bob", [])],
  ])("not %s", async (_, principal) => {
    const { approvals, count } = desk();
    const id = ask(approvals, heldCall());
    expect(await codeOf(() => approvals.decide(id, by(principal), yes))).toBe("access_denied");
    expect(count("approval.granted")).toBe(0);
  });

  test.each([1, 2])("two at the same instant, quorum %i", async (quorum) => {
    const { approvals, count } = desk();
    const id = ask(approvals, heldCall({}, quorum));
    const codes = await Promise.all(
      ["bob", "eve"].map((name) => codeOf(() => approvals.decide(id, by(person(name)), yes))),
    );
    expect(codes).toEqual(["ok", quorum === 1 ? "conflict" : "ok"]);
    expect(count("approval.granted")).toBe(quorum);
  });

  test("one person counts once", async () => {
    const { approvals } = desk();
    const id = ask(approvals, heldCall({}, 2));
    const twice = [1, 2].map(() => codeOf(() => approvals.decide(id, by(person("bob")), yes)));
    expect((await Promise.all(twice)).filter((code) => code === "ok")).toHaveLength(1);
    expect(approvals.get(id)?.state.state).toBe("pending");
  });

  test("a denial first, an approval at the same instant: denied, and the repeat is refused", async () => {
    const { approvals } = desk();
    const held = heldCall();
    const id = ask(approvals, held);
    const both = [
      codeOf(() => approvals.decide(id, by(person("bob")), no)),
      codeOf(() => approvals.decide(id, by(person("eve")), yes)),
    ];
    expect(await Promise.all(both)).toEqual(["ok", "conflict"]);
    expect(await codeOf(() => approvals.hold(held))).toBe("approval_denied");
  });

  test("not after its time, and not what the log does not take", async () => {
    const { approvals, at } = desk();
    const held = heldCall();
    const id = ask(approvals, held);
    at.broken = true;
    expect(await codeOf(() => approvals.decide(id, by(person("bob")), yes))).toBe("evidence_unavailable");
    expect(await codeOf(() => approvals.use(id, held))).toBe("approval_pending");
    at.broken = false;
    at.now += 60_000;
    expect(await codeOf(() => approvals.decide(id, by(person("bob")), yes))).toBe("approval_expired");
  });

  test("who breaks the glass needs a reason, and another reviews it", async () => {
    const { approvals } = desk();
    const oncall = person("ann", ["oncall"]);
    const id = ask(approvals, heldCall({ principal: oncall }));
    expect(await codeOf(() => approvals.decide(id, by(oncall), { ...yes, breakGlass: true }))).toBe("bad_request");
    await approvals.decide(id, by(oncall), { ...yes, breakGlass: true, reason: "outage" });
    expect(await codeOf(() => approvals.review(id, { ...by(oncall), hasRole: true }, "fine"))).toBe("access_denied");
    expect(await codeOf(() => approvals.review(id, { ...by(person("bob")), hasRole: false }, "fine"))).toBe("ok");
  });
});

describe("what an approval is good for", () => {
  test.each<[string, Partial<HeldCall>]>([
    ["body", { body: Buffer.from("{ }") }],
    ["path", { path: "/v1/y" }],
    ["query", { query: "a=1" }],
    ["connection", { connection: "other" }],
    ["rule", { rule: "other" }],
    ["policy", { policy: "p2" }],
    ["content type", { contentType: "text/plain" }],
    ["user", { principal: person("mal", []) }],
  ])("not another %s", async (_, more) => {
    const { approvals } = desk();
    const id = ask(approvals, heldCall());
    await approvals.decide(id, by(person("bob")), yes);
    expect(await codeOf(() => approvals.use(id, heldCall(more)))).toBe("approval_expired");
    expect(approvals.hold(heldCall(more))).toMatchObject({ state: "waiting", isNew: true });
  });

  test("the same bytes join one request, and one of two goes on", async () => {
    const { approvals, count } = desk();
    const id = ask(approvals, heldCall());
    expect(approvals.hold(heldCall())).toMatchObject({ approval: id, isNew: false });
    await approvals.decide(id, by(person("bob")), yes);
    const used = [1, 2].map(() => codeOf(() => approvals.use(id, heldCall())));
    expect(await Promise.all(used)).toEqual(["ok", "approval_expired"]);
    expect(count("approval.used")).toBe(1);
  });

  test("no more than 20 of one, and 1,000 of all", async () => {
    const { approvals } = desk();
    const of = (user: number, n: number) =>
      heldCall({ principal: person(`u${user}`, []), body: Buffer.from(String(n)) });
    for (let i = 0; i < 1_000; i++) ask(approvals, of(Math.floor(i / 20), i));
    expect(await codeOf(() => approvals.hold(of(0, 5_000)))).toBe("rate_limited");
    expect(await codeOf(() => approvals.hold(of(999, 5_000)))).toBe("rate_limited");
  });

  // Known to fail: #unbind forgets whichever request is bound, so the repeat makes a third one.
  test("the end of an old request leaves the newer one for the same bytes alone", async () => {
    const { approvals } = desk();
    ask(approvals, heldCall());
    const newer = ask(approvals, heldCall({ policy: "p2" }));
    await approvals.policyChanged("p2");
    expect(approvals.hold(heldCall({ policy: "p2" }))).toMatchObject({ approval: newer, isNew: false });
  });
  test("who leaves takes nothing back where the same bytes came again", async () => {
    const { approvals } = desk();
    const first = heldCall();
    const id = ask(approvals, first);
    const again = heldCall();
    expect(approvals.hold(again)).toMatchObject({ approval: id, isNew: false });
    await approvals.withdraw(id, first.call, "the caller left");
    expect(approvals.get(id)?.state.state).toBe("pending");
    await approvals.withdraw(id, again.call, "the caller left");
    expect(approvals.get(id)?.state.state).toBe("withdrawn");
  });
  test("who leaves does not take back what was approved", async () => {
    const { approvals } = desk();
    const held = heldCall();
    const id = ask(approvals, held);
    await approvals.decide(id, by(person("bob")), yes);
    await approvals.withdraw(id, held.call, "the caller left");
    expect(await codeOf(() => approvals.use(id, heldCall()))).toBe("ok");
  });
});

test("a preview shows no value", () => {
  const secret = { prompt: "hunter2", list: ["hunter2", 4711, 1], "hunter2 is a name": { deep: "hunter2" }, n: 4711 };
  const lines = previewOf(Buffer.from(JSON.stringify(secret)), true).join("\n");
  expect(lines).not.toMatch(/hunter2|4711/);
  expect(lines).toContain("prompt");
});
