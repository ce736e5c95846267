import type { Api, Protocol } from "@hoopish/protocol";
import type { ApprovalConfig } from "../config/config.ts";
import type { Principal } from "../identity/principal.ts";

/** All that a rule may look at. The same question gets the same verdict: there is no clock, store or network in it. */
export interface PolicyQuestion {
  readonly principal: Principal;
  readonly session: {
    readonly reason: string | undefined;
    readonly ticket: string | undefined;
    readonly ageMs: number;
  };
  readonly connection: { readonly name: string; readonly protocol: Protocol; readonly api: Api };
  readonly call: {
    readonly kind: string;
    readonly model?: string;
    readonly rows?: number;
    readonly tokensRequested?: number;
    readonly stream?: boolean;
    readonly method: string;
    readonly path: string;
    readonly bytes: number;
  };
  /** `json`: undefined where the body is none, or was not read whole; `headers`: name, value, name, value. */
  readonly request: {
    readonly headers: readonly string[];
    readonly json: unknown;
    readonly sql?: SqlFacts | undefined;
  };
  /** Personal data in the body, by type; looked for when a rule asks. @throws when it cannot be looked into */
  readonly findings?: () => ReadonlyMap<string, number>;
  readonly nowMs: number;
  /** What was charged to a rate's counter in its window before this call. */
  readonly usage: (key: string, perMs: number) => Usage;
}

/** What an SQL text asks for, over all of its statements; names as the database folds them. */
export interface SqlFacts {
  readonly kinds: readonly string[];
  readonly tables: readonly string[];
  readonly functions: readonly string[];
  readonly statements: number;
}

export interface Usage {
  readonly calls: number;
  readonly rows: number;
  readonly tokens: number;
}
export const NO_USAGE: Usage = { calls: 0, rows: 0, tokens: 0 };

/** What a call that goes on is charged for. */
export interface Charge extends Usage {
  readonly key: string;
  readonly perMs: number;
}

export type Verdict =
  | { readonly verdict: "allow"; readonly rule: string; readonly charges: readonly Charge[] }
  | {
      readonly verdict: "hold";
      readonly rule: string;
      readonly approval: ApprovalConfig;
      readonly charges: readonly Charge[];
    }
  | {
      readonly verdict: "block";
      /** Undefined: no rule speaks for the caller. */
      readonly rule: string | undefined;
      readonly code: "access_denied" | "policy_blocked" | "rate_limited";
      readonly message: string;
      /** When a rate lets more through, at the earliest. */
      readonly retryAfterMs?: number;
    };
