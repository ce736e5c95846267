import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalize, type Json } from "./canonical.ts";
import { HoopishError } from "./errors.ts";
import { newCallId, newSessionId, uuidv7 } from "./ids.ts";
import { encodeRecord, MAX_RECORD_BYTES, type RecordActor, type RecordDraft, type RecordType } from "./record.ts";

const stamp = () => ({
  id: uuidv7(),
  time: "2026-11-23T08:00:00.000Z",
  src: { replica: "gw-1", boot: "23cbade0-9661-4ab7-882b-b35e36e48431", n: 7 },
});

const actor: RecordActor = {
  sub: "00u1",
  iss: "https://login.bank.example",
  name: "scientist@bank.example",
  groups_hash: "00",
  kind: "human",
  amr: ["mfa"],
};

const decided = (more: Readonly<Record<string, unknown>> = {}): RecordDraft =>
  ({
    type: "call.decided",
    actor,
    session: newSessionId(),
    call: newCallId(),
    connection: "model-x",
    protocol: "http",
    method: "POST",
    path: "/v1/chat/completions",
    operation: { kind: "chat", model: "m" },
    verdict: "allow",
    policy: "00",
    ...more,
  }) as RecordDraft;

const refusal = (draft: RecordDraft): string => {
  try {
    encodeRecord(draft, stamp());
  } catch (error) {
    return error instanceof HoopishError ? error.code : `not ours: ${String(error)}`;
  }
  return "no error";
};

describe("encodeRecord", () => {
  test("writes the golden leaf of a decided call", () => {
    const draft = decided({
      session: "ses_01a206d6e93f700085a7923fa40189b6",
      call: "call_01a206d6e93f70019d752098566515de",
    });
    expect(encodeRecord(draft, { ...stamp(), id: "01a206d6-e941-7000-8661-ffca67d8bd66" })).toBe(
      '{"actor":{"amr":["mfa"],"groups_hash":"00","iss":"https://login.bank.example","kind":"human",' +
        '"name":"scientist@bank.example","sub":"00u1"},"call":"call_01a206d6e93f70019d752098566515de",' +
        '"connection":"model-x","id":"01a206d6-e941-7000-8661-ffca67d8bd66","method":"POST",' +
        '"operation":{"kind":"chat","model":"m"},"path":"/v1/chat/completions","policy":"00","protocol":"http",' +
        '"session":"ses_01a206d6e93f700085a7923fa40189b6","src":{"boot":"23cbade0-9661-4ab7-882b-b35e36e48431","n":7,' +
        '"replica":"gw-1"},"time":"2026-11-23T08:00:00.000Z","type":"call.decided","v":1,"verdict":"allow"}',
    );
  });

  test("is the JCS form of draft and stamp, for any members, in any order, known to the type or not", () => {
    const integers = fc.jsonValue({ depthSize: "small", stringUnit: "grapheme" }).map(withoutFloats);
    const members = fc.dictionary(fc.string({ maxLength: 6 }), fc.option(integers, { nil: undefined }), { maxKeys: 8 });
    const types = fc.constantFrom<RecordType>("call.decided", "call.answered", "audit.searched", "server.started");
    fc.assert(
      fc.property(types, members, (type, extra) => {
        const draft = { ...extra, type, actor } as unknown as RecordDraft;
        const stamped = stamp();
        const expected = canonicalize({ ...(draft as unknown as object), v: 1, ...stamped } as unknown as Json);
        expect(encodeRecord(draft, stamped)).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  test("the stamp wins over members of the draft with the same names", () => {
    const text = encodeRecord(decided({ v: 2, id: "mine", time: "never", src: { n: 0 } }), stamp());
    expect(JSON.parse(text)).toMatchObject({ v: 1, time: "2026-11-23T08:00:00.000Z", src: { n: 7 } });
  });

  test("a member that is undefined is left out", () => {
    expect(encodeRecord(decided({ rule: undefined }), stamp())).not.toContain("rule");
  });

  test.each<[string, Readonly<Record<string, unknown>>]>([
    ["a float", { rows: 1.5 }],
    ["a float deep inside", { operation: { kind: "chat", rows: 0.1 } }],
    ["an integer past 2^53-1", { rows: 2 ** 53 }],
    ["NaN", { rows: Number.NaN }],
    ["a lone surrogate", { path: "/\ud800" }],
    ["a lone surrogate in a name", { query: { "\udfff": "1" } }],
    ["undefined in an array", { uninspected: [undefined] }],
  ])("refuses %s", (_, more) => {
    expect(refusal(decided(more))).toBe("evidence_unavailable");
  });

  test("takes exactly 65,535 bytes, counted as UTF-8, and not one more", () => {
    const room = MAX_RECORD_BYTES - Buffer.byteLength(encodeRecord(decided({ rule: "" }), stamp()));
    const euros = Math.floor(room / 3);
    const fill = "€".repeat(euros) + "x".repeat(room - 3 * euros);
    expect(Buffer.byteLength(encodeRecord(decided({ rule: fill }), stamp()))).toBe(MAX_RECORD_BYTES);
    expect(refusal(decided({ rule: `${fill}x` }))).toBe("evidence_unavailable");
    expect(refusal(decided({ rule: "x".repeat(70_000) }))).toBe("evidence_unavailable");
  });
});

function withoutFloats(value: unknown): unknown {
  if (typeof value === "number") return Number.isSafeInteger(value) ? value : 0;
  if (Array.isArray(value)) return value.map(withoutFloats);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, withoutFloats(member)]));
}
