import { HoopishError } from "@hoopish/protocol";
import { beforeEach, describe, expect, it } from "vitest";
import type { BearerToken } from "../auth/token-source.ts";
import { keepSignedIn } from "./renewal.ts";

/** Tokens that live 1.2 s: they are due after 0.8. */
const LIFE_MS = 1_200;

let startMs: number;
let given: { token: string; atMs: number }[];
let problems: { endsAtMs: number; why: string }[];

beforeEach(() => {
  startMs = Date.now();
  given = [];
  problems = [];
});

const token = (value: string, fromMs: number, lifeMs = LIFE_MS): BearerToken => ({
  value,
  issuedAtMs: fromMs,
  expiresAtMs: fromMs + lifeMs,
});

/** Runs until it throws, or `untilMs` has passed. */
async function keep(get: () => BearerToken, take: (token: string) => void, untilMs: number): Promise<unknown> {
  const over = AbortSignal.timeout(untilMs);
  return keepSignedIn({
    tokens: { get: async () => get() },
    now: Date.now,
    signal: over,
    renew: async (value) => {
      given.push({ token: value, atMs: Date.now() - startMs });
      take(value);
    },
    onProblem: (endsAtMs, why) => void problems.push({ endsAtMs: endsAtMs - startMs, why }),
  }).catch((error: unknown) => (over.aborted ? undefined : error));
}

describe("keepSignedIn", () => {
  it("gives the server a newer token when a third of the old one's life is left", async () => {
    const get = (): BearerToken =>
      Date.now() - startMs < 700 ? token("a", startMs) : token("b", startMs + 700, 60_000);
    expect(await keep(get, () => undefined, LIFE_MS)).toBeUndefined();
    expect(given.map((one) => one.token)).toEqual(["b"]);
    expect(given[0]?.atMs).toBeGreaterThanOrEqual(790);
    expect(given[0]?.atMs).toBeLessThan(LIFE_MS);
    expect(problems).toEqual([]);
  });

  it("tries again when the server did not take it, and tells when the sessions would end: with the old one", async () => {
    const get = (): BearerToken =>
      Date.now() - startMs < 700 ? token("a", startMs, 3_000) : token("b", startMs, 60_000);
    const refuseFirst = (): void => {
      if (given.length < 3) throw new HoopishError("identity_unavailable", "no keys of the issuer");
    };
    expect(await keep(get, refuseFirst, 3_500)).toBeUndefined();
    expect(given.map((one) => one.token)).toEqual(["b", "b", "b"]);
    // A quarter of what is left is a quarter of a second here.
    expect(given[2]?.atMs).toBeLessThan(3_000);
    expect(problems).toEqual([{ endsAtMs: 3_000, why: "no keys of the issuer" }]);
  });

  it("ends with unauthenticated when the token has ended and there is no newer one", async () => {
    const error = await keep(
      () => token("a", startMs),
      () => undefined,
      5_000,
    );
    expect(error).toMatchObject({ code: "unauthenticated" });
    expect(Date.now() - startMs).toBeGreaterThanOrEqual(LIFE_MS);
    expect(given).toEqual([]);
    expect(problems).toHaveLength(1);
  });
});
