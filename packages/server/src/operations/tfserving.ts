import { decoded, largest, lengthOf, member, text } from "./json-members.ts";
import type { Operation, OperationRequest } from "./operation.ts";

/** TensorFlow Serving's REST API (tensorflow.org/tfx/serving/api_rest). */

const MODEL = /^\/v1\/models\/([^/:]+)(?:\/(?:versions|labels)\/[^/:]+)?(\/metadata|:predict|:classify|:regress)?$/i;

export function describeTfserving({ method, path, body }: OperationRequest): Operation {
  const reads = method === "GET" || method === "HEAD";
  const plain = path.replace(/\/$/, "");
  if (/^\/monitoring(\/|$)/i.test(plain)) return { kind: "metadata" };
  const match = MODEL.exec(plain);
  if (match === null) return { kind: "other" };
  const model = text(decoded(match[1] ?? ""));
  const named = model === undefined ? {} : { model };
  if (match[2]?.startsWith(":") !== true) return { kind: reads ? "metadata" : "other", ...named };
  if (method !== "POST") return { kind: "other", ...named };
  const json = body.state === "json" ? body.value : undefined;
  const rows = largest(
    lengthOf(member(json, "instances")),
    lengthOf(member(json, "examples")),
    columnRows(member(json, "inputs")),
  );
  return {
    kind: "infer",
    ...named,
    ...(rows === undefined ? {} : { rows }),
    ...(rows === undefined && json !== undefined ? { unclear: "it does not say how many rows it has" } : {}),
  };
}

/** Column format: one tensor, or named ones; the longest counts. A value that is no list is one row. */
export function columnRows(inputs: unknown): number | undefined {
  if (Array.isArray(inputs)) return inputs.length;
  if (typeof inputs !== "object" || inputs === null) return inputs === undefined ? undefined : 1;
  return Math.max(1, ...Object.values(inputs).map((column) => lengthOf(column) ?? 1));
}
