import type { Api } from "@hoopish/protocol";
import { describeGeneric } from "./generic.ts";
import { describeMlflow } from "./mlflow.ts";
import { describeOip } from "./oip.ts";
import { describeOllama } from "./ollama.ts";
import { describeOpenai } from "./openai.ts";
import type { Operation, OperationKind, OperationRequest } from "./operation.ts";
import { describeTfserving } from "./tfserving.ts";

/** Kinds that only ask a model for an answer and change nothing: their records may be made durable while the model works. */
const INFERENCE: ReadonlySet<OperationKind> = new Set([
  ...(["infer", "chat", "complete", "embed", "metadata", "health"] as const),
  // Of an SQL text the kind is that of its worst statement, and a function that nobody has named is a call.
  ...(["select", "model_call"] as const),
]);
export const isInference = (operation: Operation): boolean => INFERENCE.has(operation.kind);

/** Kinds whose meaning stands in the body. */
const SPOKEN: ReadonlySet<OperationKind> = new Set(["infer", "chat", "complete", "embed"]);

/** Fields with which some servers are told another method or path than the request's. */
const OVERRIDES: ReadonlySet<string> = new Set([
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  "x-original-url",
  "x-rewrite-url",
]);

const DESCRIBERS: Readonly<Record<Api, (request: OperationRequest) => Operation>> = {
  openai: describeOpenai,
  oip: describeOip,
  triton: describeOip,
  tfserving: describeTfserving,
  mlflow: describeMlflow,
  ollama: describeOllama,
  generic: describeGeneric,
};

/** What the request asks for. Total: whatever came, there is an answer, and the more dangerous one where there are two. */
export function describe(api: Api, request: OperationRequest): Operation {
  const operation = DESCRIBERS[api](request);
  // With Triton's binary extension the body is no JSON as a whole; its describer has read the part that is.
  const binary = (api === "oip" || api === "triton") && request.headers.includes("inference-header-content-length");
  const unclear = operation.unclear ?? unclearOf(operation, request, binary);
  return unclear === undefined ? operation : { ...operation, unclear };
}

function unclearOf(
  { kind }: Operation,
  { headers, contentEncoding, body }: OperationRequest,
  binary: boolean,
): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    if (OVERRIDES.has(headers[i] as string)) return "a header asks for another method or path";
  }
  if (contentEncoding !== undefined && !/^(identity)?$/i.test(contentEncoding.trim())) return "its body is compressed";
  if (!SPOKEN.has(kind) || (binary && body.state === "other")) return undefined;
  switch (body.state) {
    case "json":
      return undefined;
    case "none":
      return "it has no body";
    case "other":
      return `its body cannot be read: ${body.reason}`;
    case "partial":
      return "its body is larger than what is read";
  }
}
