import { member, text } from "./json-members.ts";
import type { Operation, OperationKind, OperationRequest } from "./operation.ts";

/** OpenAI's REST API (platform.openai.com/docs/api-reference), as model servers and SDKs speak it. */

const POST_KINDS: Readonly<Record<string, OperationKind>> = {
  "/v1/chat/completions": "chat",
  "/v1/responses": "chat",
  "/v1/completions": "complete",
  "/v1/embeddings": "embed",
};

export function describeOpenai({ method, path, json }: OperationRequest): Operation {
  if (path === "/health" || path === "/ping") return { kind: "health" };
  if (path === "/v1/models" || path.startsWith("/v1/models/")) {
    return { kind: method === "GET" || method === "HEAD" ? "metadata" : "admin" };
  }
  if (/^\/v1\/(files|batches|uploads)(\/|$)/.test(path)) return { kind: "files" };
  if (/^\/v1\/fine_tuning(\/|$)/.test(path)) return { kind: "admin" };
  const kind = method === "POST" ? POST_KINDS[path] : undefined;
  if (kind === undefined) return { kind: "other" };
  return withDetails(kind, json);
}

function withDetails(kind: OperationKind, json: unknown): Operation {
  const model = text(member(json, "model"));
  const rows = kind === "embed" ? inputs(member(json, "input")) : undefined;
  const stream = member(json, "stream") === true ? true : undefined;
  return {
    kind,
    ...(model === undefined ? {} : { model }),
    ...(rows === undefined ? {} : { rows }),
    ...(stream === undefined ? {} : { stream }),
  };
}

/** `input` is a text, a list of texts, a list of tokens (one text), or a list of lists of tokens. */
function inputs(input: unknown): number | undefined {
  if (typeof input === "string") return 1;
  if (!Array.isArray(input)) return undefined;
  return typeof input[0] === "number" ? 1 : input.length;
}
