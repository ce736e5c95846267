import { setTimeout as sleep } from "node:timers/promises";
import { HoopishError } from "@hoopish/protocol";
import type { TokenSource } from "../auth/token-source.ts";
import { renewAtMs } from "../auth/tokens.ts";

/** Timers hold 2^31 ms at most; a clock that is set, or a laptop that slept, is noticed at the next look. */
const LONGEST_SLEEP_MS = 60_000;
const AGAIN_MS = 5_000;

export interface RenewalPorts {
  readonly tokens: TokenSource;
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** Gives the server the newer token for the open tunnel. */
  renew(token: string): Promise<void>;
  /** The token will end and cannot be renewed at present; once for each token. */
  onProblem(expiresAtMs: number, why: string): void;
}

/**
 * Renews the token for as long as the command runs, before it ends, and tells the server in-band: streams are not cut.
 * @returns never
 * @throws HoopishError unauthenticated when the token has ended; the signal's reason when it is aborted
 */
export async function keepSignedIn(ports: RenewalPorts): Promise<never> {
  let token = await ports.tokens.get();
  let told = false;
  for (;;) {
    const waitMs = token.expiresAtMs === undefined ? LONGEST_SLEEP_MS : renewAtMs(token) - ports.now();
    if (waitMs > 0) {
      await sleep(Math.min(waitMs, LONGEST_SLEEP_MS), undefined, { signal: ports.signal });
      if (waitMs > LONGEST_SLEEP_MS || token.expiresAtMs === undefined) continue;
    }
    const next = await ports.tokens.get();
    if (next.value !== token.value) {
      token = next;
      told = false;
      await ports
        .renew(token.value)
        .catch((error: Error) => ports.onProblem(token.expiresAtMs ?? ports.now(), error.message));
      continue;
    }
    const expiresAtMs = token.expiresAtMs ?? Number.POSITIVE_INFINITY;
    if (ports.now() >= expiresAtMs) throw next.problem ?? ended();
    if (!told) ports.onProblem(expiresAtMs, next.problem?.message ?? "no newer token is there yet");
    told = true;
    await sleep(Math.max(1, Math.min(AGAIN_MS, expiresAtMs - ports.now())), undefined, { signal: ports.signal });
  }
}

function ended(): HoopishError {
  return new HoopishError("unauthenticated", "the token has ended", { hint: "hoopish login, or a new HOOPISH_TOKEN" });
}
