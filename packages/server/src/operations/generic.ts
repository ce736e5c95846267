import { largest, lengthOf, member } from "./json-members.ts";
import type { Operation, OperationRequest } from "./operation.ts";

/** Where APIs that we do not know keep their rows. */
const ROWS = ["instances", "inputs", "rows", "data", "records", "examples", "prompts", "texts", "documents", "items"];

/** An API that hoopish knows nothing of: rules go by method and path, and by rows where a usual member holds them. */
export function describeGeneric({ body }: OperationRequest): Operation {
  const json = body.state === "json" ? body.value : undefined;
  const inside = typeof json === "object" && json !== null && !Array.isArray(json) ? Object.values(json) : [];
  const rows = largest(
    lengthOf(json),
    ...ROWS.map((name) => lengthOf(member(json, name))),
    ...inside.flatMap((value) => ROWS.map((name) => lengthOf(member(value, name)))),
  );
  return { kind: "other", ...(rows === undefined ? {} : { rows }) };
}
