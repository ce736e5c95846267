/** What a call means to a model server. Pure: from the request alone. */
export interface Operation {
  /** `other`: a route that this API does not define; rules can refuse it. */
  readonly kind: OperationKind;
  readonly model?: string;
  /** Inputs asked for at once: rows of a prediction, texts of an embedding. */
  readonly rows?: number;
  readonly stream?: boolean;
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
  | "other";

export interface OperationRequest {
  readonly method: string;
  /** Path without query, percent-encoding as received. */
  readonly path: string;
  /** The parsed JSON body; undefined when there is none, when it is not JSON, or when it flows past the read limit. */
  readonly json: unknown;
}
