import { setTimeout as sleep } from "node:timers/promises";
import { HoopishError } from "@hoopish/protocol";
import type { BearerToken, TokenSource } from "../auth/token-source.ts";
import { renewAtMs } from "../auth/tokens.ts";

/** Timers hold 2^31 ms at most; a clock that is set, or a laptop that slept, is noticed at the next look. */
const LONGEST_SLEEP_MS = 60_000;
/** Between two tries to renew: a quarter of what is left of the token, within these bounds. */
const LONGEST_PAUSE_MS = 5_000;
const SHORTEST_PAUSE_MS = 250;

export interface RenewalPorts {
  readonly tokens: Pick<TokenSource, "get">;
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** Gives the server the newer token for the open tunnel; rejects when it was not taken. */
  renew(token: string): Promise<void>;
  /** The token that the server has will end, and a newer one is not to be had or was not taken; once for each token. */
  onProblem(expiresAtMs: number, why: string): void;
}

/**
 * Renews the token for as long as the command runs, before it ends, and tells the server in-band: streams are not cut.
 * What fails is tried again until the token that the server has ends.
 * @returns never
 * @throws HoopishError unauthenticated when the token has ended; the signal's reason when it is aborted
 */
export async function keepSignedIn(ports: RenewalPorts): Promise<never> {
  /** What the server has, as far as is known. */
  let held = await ports.tokens.get();
  let told = false;
  for (;;) {
    await untilDue(held, ports);
    const next = await ports.tokens.get();
    const newer = next.value !== held.value;
    const problem = newer ? await refusalOf(ports.renew(next.value)) : whyNotNewer(held, next);
    const endsAtMs = held.expiresAtMs ?? Number.POSITIVE_INFINITY;
    const ended = ports.now() >= endsAtMs;
    if (problem !== undefined && ended && !newer) throw next.problem ?? endedError();
    // With the token that it had, the server has ended the sessions by itself: they begin anew with the newer one.
    if (problem === undefined || ended) {
      held = next;
      told = false;
      // An issuer whose tokens live for a moment is not asked without a pause.
      await sleep(SHORTEST_PAUSE_MS, undefined, { signal: ports.signal });
      continue;
    }
    if (!told) ports.onProblem(endsAtMs, problem);
    told = true;
    const leftMs = endsAtMs - ports.now();
    const pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, leftMs / 4), Math.max(1, leftMs));
    await sleep(pauseMs, undefined, { signal: ports.signal });
  }
}

/** Waits until the token should be exchanged; one that does not say when it ends is looked at now and then. */
async function untilDue(token: BearerToken, { now, signal }: RenewalPorts): Promise<void> {
  if (token.expiresAtMs === undefined) return sleep(LONGEST_SLEEP_MS, undefined, { signal });
  for (let waitMs = renewAtMs(token) - now(); waitMs > 0; waitMs = renewAtMs(token) - now()) {
    await sleep(Math.min(waitMs, LONGEST_SLEEP_MS), undefined, { signal });
  }
}

/** Undefined for a token without an end: that it is the same one still is as it should be. */
function whyNotNewer(held: BearerToken, next: BearerToken): string | undefined {
  if (held.expiresAtMs === undefined) return undefined;
  return next.problem?.message ?? "no newer token is there yet";
}

function refusalOf(renewed: Promise<void>): Promise<string | undefined> {
  return renewed.then(
    () => undefined,
    (error: Error) => error.message,
  );
}

function endedError(): HoopishError {
  return new HoopishError("unauthenticated", "the token has ended", { hint: "hoopish login, or a new HOOPISH_TOKEN" });
}
