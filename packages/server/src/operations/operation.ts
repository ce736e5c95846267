import type { SqlKind } from "./sql/kinds.ts";

/** What a call means to a model server. Pure: from the request alone. */
export interface Operation {
  /** `other`: a route that this API does not define; rules can refuse it. */
  readonly kind: OperationKind;
  readonly model?: string;
  /** Inputs asked for at once: rows of a prediction, texts of an embedding. Where a server might count more, more. */
  readonly rows?: number;
  /** Tokens that the model may write, as the call asks. */
  readonly tokensRequested?: number;
  readonly stream?: boolean;
  /** What a person wrote, for detection: at most 64 texts and 64 Ki characters. */
  readonly texts?: readonly string[];
  /** Of an SQL text: what its statements are and name. */
  readonly sql?: {
    readonly kinds: readonly string[];
    readonly tables: readonly string[];
    readonly functions: readonly string[];
    readonly statements: number;
  };
  /** Why it is not certain what the call asks for, in words that hold nothing of it. */
  readonly unclear?: string;
}

export type OperationKind =
  | "infer"
  | "chat"
  | "complete"
  | "embed"
  | "metadata"
  | "health"
  | "admin"
  | "files"
  | "other"
  /** What an SQL text does; sql/kinds.ts says in which order of danger. */
  | SqlKind;

/** A body as it was read. `other`: bytes that are not strict JSON, and why. `partial`: too large, it flows. */
export type BodyReading =
  | { readonly state: "none" }
  | { readonly state: "json"; readonly value: unknown }
  | { readonly state: "other"; readonly reason: string }
  | { readonly state: "partial" };

export interface OperationRequest {
  readonly method: string;
  /** Path without query, percent-encoding as received. */
  readonly path: string;
  /** With the question mark; "" when there is none. */
  readonly query: string;
  /** Name, value, name, value …; names in lower case. */
  readonly headers: readonly string[];
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** All of the body, or its beginning. */
  readonly bytes: Buffer;
  readonly body: BodyReading;
}
