import type { RecordActor } from "@hoopish/protocol";

/** Who calls: what a verified token of a configured issuer says, and nothing that the caller says himself. */
export interface Principal {
  readonly sub: string;
  readonly issuer: string;
  readonly kind: "human" | "service";
  /** The configured `claims.user`: what rules and people call this principal. */
  readonly user: string;
  /** A display name; never used for a decision. */
  readonly name: string;
  readonly groups: readonly string[];
  readonly amr: readonly string[] | undefined;
  /** Unix milliseconds: the token's `exp`. */
  readonly expiresAtMs: number;
}

/** Port of everything that needs to know who calls. */
export interface Identity {
  /**
   * @throws HoopishError `unauthenticated` (the token is not good; the message says why in words that are safe to show),
   * `identity_unavailable` (the issuer's keys cannot be had: never "let in", never "bad token")
   */
  verify(token: string): Promise<Principal>;
  /** Whether keys are at hand for every issuer, for /readyz. */
  ready(): Promise<{ readonly ok: boolean; readonly detail: string }>;
}

export type ActorOf = (principal: Principal) => RecordActor;
