import type { Api } from "@hoopish/protocol";
import { describeOip } from "./oip.ts";
import { describeOpenai } from "./openai.ts";
import type { Operation, OperationKind, OperationRequest } from "./operation.ts";

/** Kinds that only ask a model for an answer and change nothing: their records may be made durable while the model works. */
const INFERENCE: ReadonlySet<OperationKind> = new Set(["infer", "chat", "complete", "embed", "metadata", "health"]);
export const isInference = (operation: Operation): boolean => INFERENCE.has(operation.kind);

export function describe(api: Api, request: OperationRequest): Operation {
  switch (api) {
    case "openai":
      return describeOpenai(request);
    case "oip":
    case "triton":
      return describeOip(request);
    case "tfserving":
    case "ollama":
    case "mlflow":
    case "generic":
      return { kind: "other" };
  }
}
