import { member, positiveInteger, text } from "./json-members.ts";
import type { Operation, OperationRequest } from "./operation.ts";

/** Open Inference Protocol v2 over HTTP, with Triton's repository extension. */

const MODEL = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(?:\/([a-z_]+))?$/;

export function describeOip({ method, path, json }: OperationRequest): Operation {
  if (path === "/v2" || path === "/v2/") return { kind: "metadata" };
  if (/^\/v2\/health\/(live|ready)$/.test(path)) return { kind: "health" };
  if (/^\/v2\/repository(\/|$)/.test(path)) return { kind: "admin" };
  const match = MODEL.exec(path);
  if (match === null) return { kind: "other" };
  const model = text(decoded(match[1] ?? ""));
  const named = model === undefined ? {} : { model };
  const action = match[3];
  if (action === "infer" && method === "POST") {
    const rows = batchRows(member(json, "inputs"));
    return { kind: "infer", ...named, ...(rows === undefined ? {} : { rows }) };
  }
  if ((action === undefined || action === "ready" || action === "config") && method === "GET") {
    return { kind: action === "ready" ? "health" : "metadata", ...named };
  }
  return { kind: "other", ...named };
}

/** The first dimension of the inputs' shapes: the batch. The largest counts, so that a second input cannot hide rows. */
function batchRows(inputs: unknown): number | undefined {
  if (!Array.isArray(inputs) || inputs.length === 0) return undefined;
  let rows: number | undefined;
  for (const input of inputs) {
    const shape = member(input, "shape");
    const first = Array.isArray(shape) ? positiveInteger(shape[0]) : undefined;
    if (first !== undefined && (rows === undefined || first > rows)) rows = first;
  }
  return rows;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
