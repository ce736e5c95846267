import { isUtf8 } from "node:buffer";
import { type CallStory, callStorySchema, HoopishError, isCallId, isKept, type PayloadView } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { observeCheckpoint } from "../evidence/observe.ts";
import type { ApiClient } from "../http/api-client.ts";
import { safeText } from "../terminal/safe-text.ts";
import type { Style } from "../terminal/style.ts";
import { details } from "../terminal/table.ts";
import { formatBytes, formatTime } from "../terminal/units.ts";
import { verdictCell } from "./audit-list.ts";

export interface AuditShowOptions {
  /** Bytes of each body that are shown. */
  readonly maxBytes: number;
}

interface Body extends PayloadView {
  readonly encoding: "utf8" | "base64";
  readonly data: string;
  /** Not all of it is in `data`. */
  readonly truncated: boolean;
}

/** One call's whole story: what was asked, how it was decided and why, what came back, and the records that prove it. */
export async function auditShow(context: Context, id: string, options: AuditShowOptions): Promise<void> {
  if (!isCallId(id)) {
    throw new HoopishError("usage", `"${id}" is not a call's id`, {
      hint: "hoopish audit list shows them: call_ and 32 hexadecimal digits",
    });
  }
  const api = await context.api();
  await observeCheckpoint(context, api);
  const story = await api.get(`/api/v1/audit/calls/${id}`, callStorySchema);
  const bodies: (Body | PayloadView)[] = [];
  for (const payload of story.payloads) {
    bodies.push(isKept(payload.state) ? await fetchBody(api, id, payload, options.maxBytes) : payload);
  }
  const { holds = [] } = story;
  const records = story.records.map(({ index, leaf }) => ({ index, leaf, record: parseLeaf(leaf) }));

  if (context.output.json) return context.output.show({ call: story.call, records, payloads: bodies, holds }, () => []);
  context.output.show(story, (safe, style) => [...summary(safe, style), "", ...recordLines(safe, style)]);
  // Bodies are neutralised apart: their line feeds stay, everything that moves a cursor does not.
  for (const body of bodies) context.output.raw(bodyText(body, context.output.style));
}

async function fetchBody(api: ApiClient, id: string, payload: PayloadView, maxBytes: number): Promise<Body> {
  const path = `/api/v1/audit/calls/${id}/payloads/${encodeURIComponent(payload.field)}`;
  const { body } = await api.stream(path);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    // Leaving the loop closes the connection: the rest is not fetched.
    if (length > maxBytes) break;
  }
  const data = trimPartialCharacter(Buffer.concat(chunks).subarray(0, maxBytes), length > maxBytes);
  const text = isUtf8(data);
  return {
    ...payload,
    encoding: text ? "utf8" : "base64",
    data: data.toString(text ? "utf8" : "base64"),
    truncated: length > maxBytes,
  };
}

/** A cut may fall inside a character, and that alone does not make a text binary. */
function trimPartialCharacter(bytes: Buffer, cut: boolean): Buffer {
  for (let drop = 0; cut && drop < 4 && drop < bytes.length; drop += 1) {
    const shorter = bytes.subarray(0, bytes.length - drop);
    if (isUtf8(shorter)) return shorter;
  }
  return bytes;
}

function parseLeaf(leaf: string): unknown {
  try {
    return JSON.parse(leaf);
  } catch {
    return undefined;
  }
}

function summary({ call, holds = [], records }: CallStory, style: Style): readonly string[] {
  const verdict = verdictCell(call.verdict, style);
  const byRule = call.rule === undefined ? "" : ` by rule ${call.rule}`;
  const moved = [
    call.requestBytes === undefined ? undefined : `${formatBytes(call.requestBytes)} asked`,
    call.deliveredBytes === undefined ? undefined : `${formatBytes(call.deliveredBytes)} delivered`,
  ].filter((words) => words !== undefined);
  return details(
    [
      ["call", style.strong(call.id)],
      ["time", formatTime(call.time)],
      ["user", call.user],
      ["connection", call.connection],
      ["session", call.session],
      ["request", `${call.method} ${call.path}`],
      [
        "operation",
        [call.kind, call.model, call.rows === undefined ? undefined : `${call.rows} rows`].filter(Boolean).join(" "),
      ],
      ["verdict", `${verdict.paint?.(verdict.text) ?? verdict.text}${byRule}`],
      [
        "status",
        call.status === undefined ? "not ended" : `${call.status}${call.code === undefined ? "" : ` ${call.code}`}`,
      ],
      ["took", call.durationMs === undefined ? undefined : `${call.durationMs} ms`],
      ["bytes", moved.join(", ")],
      ["masked", maskedText(records, "call.decided", "in the request")],
      ["", maskedText(records, "call.answered", "in the answer")],
      ["outcome", call.outcome],
      ["kept by", holds.join(", ")],
    ],
    style,
  );
}

/** `2 US_SSN, 1 EMAIL in the answer`. */
function maskedText(records: CallStory["records"], type: string, where: string): string | undefined {
  const leaves = records.map(({ leaf }) => parseLeaf(leaf) as { type?: string; masked?: unknown } | undefined);
  const record = leaves.find((one) => one?.type === type);
  const masked = record?.masked;
  if (typeof masked !== "object" || masked === null) return undefined;
  return `${Object.entries(masked)
    .map(([name, count]) => `${String(count)} ${name}`)
    .join(", ")} ${where}`;
}

/** The leaves as they stand in the log: the exact text is what is signed. */
function recordLines({ records }: CallStory, style: Style): readonly string[] {
  return records.flatMap(({ index, leaf }) => [style.faint(`record ${index}`), leaf]);
}

function whyGone({ state, purges = [] }: PayloadView): string {
  if (state === "missing") return "missing: the log commits to it, and no record says why it is not here";
  return `destroyed when its time was over: record ${purges.join(" or ")}`;
}

function bodyText(body: Body | PayloadView, style: Style): string {
  if (!("data" in body)) {
    return `\n${style.strong(safeText(body.field))} ${style.faint(`(${formatBytes(body.bytes)}; ${whyGone(body)})`)}\n`;
  }
  const notes = [
    formatBytes(body.bytes),
    ...(body.state === "complete" ? [] : ["cut off: the log's commitment does not cover all of it"]),
    ...(body.truncated ? ["only the beginning is shown: --max-bytes"] : []),
    ...(body.encoding === "base64" ? ["binary, in base64"] : []),
  ];
  return `\n${style.strong(safeText(body.field))} ${style.faint(`(${notes.join("; ")})`)}\n${safeText(body.data)}\n`;
}
