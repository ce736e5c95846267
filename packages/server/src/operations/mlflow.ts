import { largest, lengthOf, member } from "./json-members.ts";
import { describeOip } from "./oip.ts";
import type { Operation, OperationRequest } from "./operation.ts";
import { columnRows } from "./tfserving.ts";

/** MLflow's scoring server (mlflow.org/docs: model serving), with MLServer's Open Inference Protocol beside it. */
export function describeMlflow(request: OperationRequest): Operation {
  const { method, body, bytes, contentType } = request;
  const path = request.path.toLowerCase().replace(/\/$/, "");
  if (path === "/ping" || path === "/health") return { kind: "health" };
  if (path === "/version" || path === "/openapi.json") return { kind: "metadata" };
  if (path === "/v2" || path.startsWith("/v2/")) return describeOip(request);
  if (path !== "/invocations" && path !== "/predict") return { kind: "other" };
  if (method !== "POST") return { kind: "other" };
  if (body.state === "other" && /^text\/csv\b/i.test(contentType ?? "")) {
    // A quoted line break counts as a row too: the more cautious number.
    const lines = bytes
      .toString("latin1")
      .split("\n")
      .filter((line) => line.trim() !== "").length;
    return { kind: "infer", rows: Math.max(0, lines - 1), unclear: "its body is CSV" };
  }
  const json = body.state === "json" ? body.value : undefined;
  const split = member(json, "dataframe_split");
  const rows = largest(
    lengthOf(json),
    lengthOf(member(split, "data")),
    lengthOf(member(split, "index")),
    lengthOf(member(json, "dataframe_records")),
    lengthOf(member(json, "instances")),
    lengthOf(member(json, "data")),
    columnRows(member(json, "inputs")),
  );
  return {
    kind: "infer",
    ...(rows === undefined ? {} : { rows }),
    ...(rows === undefined && json !== undefined ? { unclear: "it does not say how many rows it has" } : {}),
  };
}
