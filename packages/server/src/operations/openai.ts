import { lengthOf, member, positiveInteger, Texts, text } from "./json-members.ts";
import type { Operation, OperationKind, OperationRequest } from "./operation.ts";

/**
 * OpenAI's REST API (platform.openai.com/docs/api-reference), as model servers and SDKs speak it, with the routes that vLLM
 * and llama.cpp add.
 */

const SPOKEN_ROUTES: Readonly<Record<string, OperationKind>> = {
  "chat/completions": "chat",
  responses: "chat",
  messages: "chat",
  completions: "complete",
  embeddings: "embed",
  moderations: "infer",
  score: "infer",
  rerank: "infer",
  pooling: "embed",
  classify: "infer",
};
/** vLLM's and llama.cpp's routes that change the server. */
const ADMIN =
  /^(load_lora_adapter|unload_lora_adapter|sleep|wake_up|reset_prefix_cache|collective_rpc|start_profile|stop_profile|slots|props|lora-adapters|fine_tuning|assistants|threads|organization|evals|containers)(\/|$)/;
const FILES = /^(files|batches|uploads|vector_stores)(\/|$)/;
const MEDIA = /^(audio|images|videos)(\/|$)/;

export function describeOpenai(request: OperationRequest): Operation {
  const { method } = request;
  // Some servers take any case and a slash at the end: the route that they would serve is the one that counts.
  const path = request.path.toLowerCase().replace(/\/$/, "");
  if (/^\/(health|healthz|ping|ready|live)$/.test(path)) return { kind: "health" };
  if (/^\/(version|metrics)$/.test(path)) return { kind: "metadata" };
  const route = path.replace(/^\/(v\d+[a-z0-9]*\/)?/, "");
  if (/^models(\/|$)/.test(route)) return { kind: method === "GET" || method === "HEAD" ? "metadata" : "admin" };
  if (FILES.test(route)) return { kind: "files" };
  if (ADMIN.test(route)) return { kind: "admin" };
  if (MEDIA.test(route)) return { kind: "infer", unclear: "its body is no JSON that tells what is asked" };
  // A conversation over a WebSocket, whose messages are judged one by one.
  if (route === "realtime" && method === "GET") {
    const model = text(new URLSearchParams(request.query).get("model") ?? undefined);
    return { kind: "chat", stream: true, ...(model === undefined ? {} : { model }) };
  }
  const kind = Object.hasOwn(SPOKEN_ROUTES, route) ? SPOKEN_ROUTES[route] : undefined;
  if (kind === undefined) return { kind: "other" };
  // A stored response is read, cancelled or deleted by other methods.
  if (method !== "POST") return { kind: method === "GET" || method === "HEAD" ? "other" : "admin" };
  return withDetails(kind, request);
}

function withDetails(kind: OperationKind, { body }: OperationRequest): Operation {
  const json = body.state === "json" ? body.value : undefined;
  const model = text(member(json, "model"));
  const rows = rowsOf(kind, json);
  const tokens = tokensOf(json);
  const texts = new Texts();
  for (const name of ["messages", "prompt", "input", "instructions", "system"]) texts.addAll(member(json, name));
  return {
    kind,
    ...(model === undefined ? {} : { model }),
    ...(rows === undefined ? {} : { rows }),
    ...(tokens === undefined ? {} : { tokensRequested: tokens }),
    ...(member(json, "stream") === true ? { stream: true } : {}),
    ...texts.found,
  };
}

function rowsOf(kind: OperationKind, json: unknown): number | undefined {
  if (kind === "embed" || kind === "infer") return inputs(member(json, "input") ?? member(json, "documents"));
  if (kind === "complete") return inputs(member(json, "prompt"));
  return undefined;
}

/** A text, a list of texts, a list of tokens (one text), or a list of lists of tokens. */
function inputs(input: unknown): number | undefined {
  if (typeof input === "string") return 1;
  if (!Array.isArray(input)) return undefined;
  // Numbers alone are the tokens of one text; anything beside them makes it a list of texts.
  return input.length > 0 && input.every((item) => typeof item === "number") ? 1 : input.length;
}

/** The most that the call may make the model write: for each of `n` choices, or the `best_of` that are made for them. */
function tokensOf(json: unknown): number | undefined {
  const limits = ["max_tokens", "max_completion_tokens", "max_output_tokens"].map((name) =>
    positiveInteger(member(json, name)),
  );
  const known = limits.filter((limit) => limit !== undefined);
  if (known.length === 0) return undefined;
  const choices = Math.max(1, ...["n", "best_of"].map((name) => positiveInteger(member(json, name)) ?? 1));
  const prompts = Math.max(1, inputs(member(json, "prompt")) ?? 1, lengthOf(member(json, "prompts")) ?? 1);
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(...known) * choices * prompts);
}
