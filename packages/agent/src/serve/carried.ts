import type { StreamError } from "@hoopish/protocol";
import type { ConnectionConfig } from "../config/config.ts";
import type { Credential } from "../credential/credential.ts";
import type { Placed } from "./in-flight.ts";

/** What is under way for the server: a call, or a connection to a database. */
export interface Carried extends Placed {
  /** What the agent's log calls it. */
  readonly facts: { readonly call?: string; readonly connection: string };
  readonly startedMs: number;
  /** Gives it up: its time is over, or the agent stops. */
  abort(error: StreamError): void;
}

/** `status`: of an answer. `detail`: a code, for the agent's log. */
export type Outcome =
  | { readonly kind: "answered"; readonly status: number }
  | { readonly kind: "failed"; readonly error: StreamError; readonly detail: string }
  | { readonly kind: "cancelled"; readonly detail: string };

/** What is carried tells `over` exactly once. */
export interface CarriedEvents {
  over(carried: Carried, outcome: Outcome): void;
}

/** One configured endpoint, with its credential and its count of what is under way. */
export interface TargetState {
  readonly config: ConnectionConfig;
  readonly credential: Credential | undefined;
  /** Begun and not over. */
  calls: number;
  close(): Promise<void>;
}
