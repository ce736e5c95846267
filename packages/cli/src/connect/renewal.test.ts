import { HoopishError } from "@hoopish/protocol";
import { beforeEach, describe, expect, it } from "vitest";
import type { BearerToken } from "../auth/token-source.ts";
import { keepSignedIn } from "./renewal.ts";

/** Milliseconds from the beginning of a test to the time when the token `a` should be renewed, and to its end. */
const DUE_MS = 500;
const END_MS = 5_500;
const LIFE_MS = 3 * (END_MS - DUE_MS);

let startMs: number;
let given: { token: string; atMs: number }[];
let problems: { endsAtMs: number; why: string }[];

beforeEach(() => {
  startMs = Date.now();
  given = [];
  problems = [];
});

const a = (): BearerToken => ({ value: "a", issuedAtMs: startMs + END_MS - LIFE_MS, expiresAtMs: startMs + END_MS });
const b = (): BearerToken => ({ value: "b", issuedAtMs: startMs, expiresAtMs: startMs + 3_600_000 });

/** Runs until it throws, the server has taken a token, or `untilMs` has passed. */
async function keep(newest: () => BearerToken, take: () => void, untilMs: number): Promise<unknown> {
  const taken = new AbortController();
  const over = AbortSignal.any([taken.signal, AbortSignal.timeout(untilMs)]);
  let asked = 0;
  return keepSignedIn({
    tokens: { get: async () => (asked++ === 0 ? a() : newest()) },
    now: Date.now,
    signal: over,
    renew: async (token) => {
      given.push({ token, atMs: Date.now() - startMs });
      take();
      taken.abort();
    },
    onProblem: (endsAtMs, why) => void problems.push({ endsAtMs: endsAtMs - startMs, why }),
  }).catch((error: unknown) => (over.aborted ? undefined : error));
}

describe("keepSignedIn", () => {
  it("gives the server a newer token when a third of the old one's life is left", async () => {
    expect(await keep(b, () => undefined, END_MS)).toBeUndefined();
    expect(given.map(({ token }) => token)).toEqual(["b"]);
    expect(given[0]?.atMs).toBeGreaterThanOrEqual(DUE_MS - 10);
    expect(given[0]?.atMs).toBeLessThan(END_MS);
    expect(problems).toEqual([]);
  });

  it("tries again when the server did not take it, and tells when the sessions would end: with the old one", async () => {
    const refuseTwice = (): void => {
      if (given.length < 3) throw new HoopishError("identity_unavailable", "no keys of the issuer");
    };
    expect(await keep(b, refuseTwice, END_MS)).toBeUndefined();
    expect(given.map(({ token }) => token)).toEqual(["b", "b", "b"]);
    expect(given[2]?.atMs).toBeLessThan(END_MS);
    expect(problems).toEqual([{ endsAtMs: END_MS, why: "no keys of the issuer" }]);
  });

  it("ends with unauthenticated when the token has ended and there is no newer one", async () => {
    expect(await keep(a, () => undefined, 4 * END_MS)).toMatchObject({ code: "unauthenticated" });
    expect(Date.now() - startMs).toBeGreaterThanOrEqual(END_MS);
    expect(given).toEqual([]);
    expect(problems).toHaveLength(1);
  }, 30_000);
});
