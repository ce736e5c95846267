import { decoded, largest, lengthOf, member, positiveInteger, Texts, text } from "./json-members.ts";
import type { Operation, OperationRequest } from "./operation.ts";
import { readBody } from "./read-body.ts";

/** Open Inference Protocol v2 over HTTP, with Triton's extensions. */

const MODEL = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(?:\/([a-z_]+(?:\/[a-z_]+)?))?$/i;
/** One input's encoded value from this length on may hold many rows. */
const LARGE_VALUE = 65_536;

export function describeOip(request: OperationRequest): Operation {
  const { method } = request;
  // Servers differ in case and a slash at the end; what any of them would serve is what counts.
  const path = request.path.replace(/\/$/, "");
  const lower = path.toLowerCase();
  const reads = method === "GET" || method === "HEAD";
  if (lower === "/v2" || lower === "/metrics") return { kind: "metadata" };
  if (/^\/v2\/health\/(live|ready)$/.test(lower)) return { kind: "health" };
  if (/^\/v2\/repository(\/|$)/.test(lower)) return { kind: "admin" };
  if (/^\/v2\/(logging|trace|cudasharedmemory|systemsharedmemory)(\/|$)/.test(lower)) {
    return { kind: reads ? "metadata" : "admin" };
  }
  const match = MODEL.exec(path);
  if (match === null) return { kind: "other" };
  const model = text(decoded(match[1] ?? ""));
  const named = model === undefined ? {} : { model };
  const action = match[3]?.toLowerCase();
  switch (action) {
    case "infer":
    case "generate":
    case "generate_stream":
      if (method !== "POST") return { kind: "other", ...named };
      return action === "infer" ? infer(named, request) : generate(named, action, request);
    case "ready":
      return { kind: reads ? "health" : "other", ...named };
    case undefined:
    case "config":
    case "stats":
      return { kind: reads ? "metadata" : "other", ...named };
    default:
      return { kind: /^(trace|logging|load|unload)/.test(action) && !reads ? "admin" : "other", ...named };
  }
}

type Named = { readonly model?: string };

function generate(named: Named, action: string, { body }: OperationRequest): Operation {
  const json = body.state === "json" ? body.value : undefined;
  const tokens = positiveInteger(member(json, "max_tokens") ?? member(member(json, "parameters"), "max_tokens"));
  const texts = new Texts();
  texts.addAll(member(json, "text_input"));
  return {
    kind: "complete",
    ...named,
    rows: lengthOf(member(json, "text_input")) ?? 1,
    ...(tokens === undefined ? {} : { tokensRequested: tokens }),
    ...(action === "generate_stream" ? { stream: true } : {}),
    ...texts.found,
  };
}

function infer(named: Named, request: OperationRequest): Operation {
  const { json, problem } = jsonPart(request);
  const inputs = member(json, "inputs");
  let rows: number | undefined;
  let unclear = problem;
  const texts = new Texts();
  for (const input of Array.isArray(inputs) ? inputs : []) {
    const counted = rowsOf(input);
    rows = largest(rows, counted.rows);
    unclear ??= counted.unclear;
    if (member(input, "datatype") === "BYTES") texts.addAll(member(input, "data"));
  }
  if (rows === undefined && problem === undefined && json !== undefined)
    unclear ??= "no input says how many rows it has";
  return {
    kind: "infer",
    ...named,
    ...(rows === undefined ? {} : { rows }),
    ...texts.found,
    ...(unclear === undefined ? {} : { unclear }),
  };
}

/** With Triton's binary extension the JSON is the body's beginning, and tensors follow it. */
function jsonPart({ headers, bytes, body }: OperationRequest): { readonly json?: unknown; readonly problem?: string } {
  const lengths = headers.filter((_, i) => i % 2 === 1 && headers[i - 1] === "inference-header-content-length");
  if (lengths.length === 0) return body.state === "json" ? { json: body.value } : {};
  const length = /^\d{1,9}$/.test(lengths[0] ?? "") ? Number(lengths[0]) : Number.NaN;
  if (lengths.length > 1 || !(length <= bytes.length)) return { problem: "the length of its JSON part is not good" };
  const part = readBody(bytes.subarray(0, length), true);
  return part.state === "json" ? { json: part.value } : { problem: "its JSON part cannot be read" };
}

/**
 * Rows of one input: the first dimension of its shape, or what its data shows to be more. A batch of one whose second
 * dimension is the true batch ([1, 5000, 6]) counts as that; [1, N] is one row of N features.
 */
function rowsOf(input: unknown): { readonly rows?: number; readonly unclear?: string } {
  const shape = member(input, "shape");
  const dims = Array.isArray(shape) ? shape.map(positiveInteger) : [];
  if (dims.length === 0 || dims.includes(undefined)) return { unclear: "an input has no shape" };
  const sizes = dims as number[];
  const first = sizes[0] === 1 && sizes.length > 2 ? (sizes[1] as number) : (sizes[0] as number);
  const parameters = member(input, "parameters");
  if (member(parameters, "shared_memory_region") !== undefined)
    return { rows: first, unclear: "its data lies in shared memory" };
  const elements = sizes.reduce((product, size) => product * size, 1);
  const data = member(input, "data");
  const binary = member(parameters, "binary_data_size");
  if (binary !== undefined) return { rows: first, ...binaryProblem(binary, elements, member(input, "datatype")) };
  const found = flatLength(data, 8);
  if (found === undefined) return { rows: first, unclear: "an input has no data" };
  const perRow = Math.max(1, elements / Math.max(1, first));
  const rows = Math.max(first, lengthOf(data) === found ? Math.ceil(found / perRow) : (lengthOf(data) ?? 0));
  if (found !== elements) return { rows, unclear: "an input's shape and data disagree" };
  if (holdsLargeValue(data)) return { rows, unclear: "one input holds a large encoded value" };
  return { rows };
}

const SIZES: Readonly<Record<string, number>> = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  BF16: 2,
  FP32: 4,
  FP64: 8,
};

function binaryProblem(size: unknown, elements: number, datatype: unknown): { readonly unclear?: string } {
  const each = typeof datatype === "string" && Object.hasOwn(SIZES, datatype) ? SIZES[datatype] : undefined;
  if (each === undefined) return { unclear: "an input's values are encoded" };
  return size === each * elements ? {} : { unclear: "an input's shape and data disagree" };
}

/** Values in nested arrays; undefined: no array. */
function flatLength(data: unknown, depth: number): number | undefined {
  if (!Array.isArray(data)) return undefined;
  if (depth === 0 || !data.some(Array.isArray)) return data.length;
  let total = 0;
  for (const item of data) total += flatLength(item, depth - 1) ?? 1;
  return total;
}

const holdsLargeValue = (data: unknown): boolean =>
  Array.isArray(data) &&
  data.some((item) =>
    Array.isArray(item) ? holdsLargeValue(item) : typeof item === "string" && item.length > LARGE_VALUE,
  );
