import { type HttpCall, httpCallSchema, newCallId } from "@hoopish/protocol";
import { describe, expect, it } from "vitest";
import { readCall, whyNotCarried } from "./read-call.ts";

const GOOD: HttpCall = {
  ":kind": "http",
  call: newCallId(),
  connection: "model",
  method: "POST",
  path: "/v1/x?y",
  headers: ["a", "b"],
  length: 3,
  timeoutMs: 1000,
};

describe("readCall", () => {
  const odd = [undefined, null, "", "x", 0, -1, 1.5, 2 ** 53, Number.NaN, true, [], ["a"], ["a", "b"], ["a", 1], {}];
  it("takes what the protocol's schema takes, and nothing else", () => {
    const { length: _, ...withoutLength } = GOOD;
    const cases: Record<string, unknown>[] = [{ ...GOOD }, { ...withoutLength }, {}];
    for (const key of Object.keys(GOOD)) {
      for (const value of odd) cases.push({ ...GOOD, [key]: value });
    }
    for (const headers of cases) {
      const parsed = httpCallSchema.safeParse(headers);
      // The schema tells an absent length from an undefined one; JSON, which this comes from, has no undefined.
      if ("length" in headers && headers.length === undefined) continue;
      expect([JSON.stringify(headers), readCall(headers) !== undefined]).toEqual([
        JSON.stringify(headers),
        parsed.success,
      ]);
    }
  });
});

describe("whyNotCarried", () => {
  it("lets through what a request line can carry", () => {
    for (const path of ["/", "/a/../b", "//host/x", '/%00?q=[]{}|\\^`<>"', "/\u00e9"]) {
      expect([path, whyNotCarried({ ...GOOD, path })]).toEqual([path, undefined]);
    }
  });
});
