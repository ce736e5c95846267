import { lengthOf, member, positiveInteger, Texts, text } from "./json-members.ts";
import { describeOpenai } from "./openai.ts";
import type { Operation, OperationKind, OperationRequest } from "./operation.ts";

/** Ollama's API (docs/api.md of ollama/ollama), and OpenAI's under /v1. */

const ASKS: Readonly<Record<string, OperationKind>> = {
  "/api/generate": "complete",
  "/api/chat": "chat",
  "/api/embed": "embed",
  "/api/embeddings": "embed",
};
const READS: ReadonlySet<string> = new Set(["/api/tags", "/api/show", "/api/ps", "/api/version"]);

export function describeOllama(request: OperationRequest): Operation {
  const path = request.path.toLowerCase().replace(/\/$/, "");
  if (path === "") return { kind: "health" };
  if (path.startsWith("/v1/")) return describeOpenai(request);
  if (READS.has(path)) return { kind: "metadata" };
  if (/^\/api\/(pull|push|create|copy|delete|blobs)(\/|$)/.test(path)) return { kind: "admin" };
  const kind = Object.hasOwn(ASKS, path) ? ASKS[path] : undefined;
  if (kind === undefined || request.method !== "POST") return { kind: "other" };
  const json = request.body.state === "json" ? request.body.value : undefined;
  const model = text(member(json, "model"));
  const tokens = positiveInteger(member(member(json, "options"), "num_predict"));
  const texts = new Texts();
  for (const name of ["prompt", "system", "messages", "input"]) texts.addAll(member(json, name));
  return {
    kind,
    ...(model === undefined ? {} : { model }),
    ...(kind === "embed" ? { rows: lengthOf(member(json, "input")) ?? 1 } : {}),
    ...(kind === "complete" ? { rows: 1 } : {}),
    ...(tokens === undefined ? {} : { tokensRequested: tokens }),
    // Streams unless it is told not to.
    ...(kind !== "embed" && member(json, "stream") !== false ? { stream: true } : {}),
    ...texts.found,
  };
}
