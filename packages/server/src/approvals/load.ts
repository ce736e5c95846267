import { type ApprovalId, HoopishError, type RecordActor, type SessionId, type StoredRecord } from "@hoopish/protocol";
import type { EvidenceReader } from "../evidence/port.ts";
import { recordsOfTypes } from "../evidence/records-of-types.ts";
import { digestOf } from "./digest.ts";
import { type ApprovalRequest, isOver } from "./request.ts";

const TYPES = [
  "approval.requested",
  "approval.granted",
  "approval.denied",
  "approval.expired",
  "approval.used",
  "approval.reviewed",
] as const;
/** Larger than any connection's request may be that is read whole. */
const MAX_BODY_BYTES = 1_073_741_824;

/** What the log tells of approvals, oldest first: the state in which the last server left them. */
export async function loadApprovals(reader: EvidenceReader, nowMs: number): Promise<ApprovalRequest[]> {
  const requests = new Map<ApprovalId, ApprovalRequest>();
  for (const { record } of await recordsOfTypes(reader, TYPES)) apply(record, requests);
  for (const request of requests.values()) {
    // A denial is good for the same bytes until its time is over, too.
    const binds = !isOver(request) || (request.state.state === "denied" && request.expiresAtMs > nowMs);
    if (binds) request.digest = await digestFromVault(request, reader);
  }
  return [...requests.values()];
}

/** One record's change. What does not fit (it cannot, in a log of ours) changes nothing. */
export function apply(record: StoredRecord, requests: Map<ApprovalId, ApprovalRequest>): void {
  if (record.type === "approval.requested") {
    const request = requested(record);
    if (request !== undefined) requests.set(request.id, request);
    return;
  }
  if (!isAbout(record)) return;
  const request = requests.get(record.approval);
  if (request === undefined) return;
  const who = {
    by: record.actor?.name ?? "",
    sub: record.actor?.sub ?? "",
    iss: record.actor?.iss ?? "",
    at: record.time,
  };
  const atMs = Date.parse(record.time);
  switch (record.type) {
    case "approval.granted": {
      const { reason, break_glass, until, final } = record;
      request.decisions.push({
        ...who,
        decision: "approve",
        ...(reason === undefined ? {} : { reason }),
        ...(break_glass === true ? { breakGlass: true as const } : {}),
      });
      if (break_glass === true) request.brokeGlass = true;
      if (final === true) request.state = { state: "approved", untilMs: Date.parse(until ?? record.time) };
      return;
    }
    case "approval.denied":
      request.decisions.push({ ...who, decision: "deny", reason: record.reason });
      request.state = { state: "denied" };
      return;
    case "approval.expired":
      request.state = { state: "expired", reason: record.reason };
      return;
    case "approval.used": {
      const { state } = request;
      const untilMs = state.state === "approved" || state.state === "used" ? state.untilMs : undefined;
      request.state = { state: "used", atMs, untilMs: request.asked.scope === "session" ? untilMs : undefined };
      return;
    }
    case "approval.reviewed":
      request.review = { by: record.by, at: record.time, reason: record.reason };
  }
}

type About = StoredRecord & {
  readonly type: "approval.granted" | "approval.denied" | "approval.expired" | "approval.used" | "approval.reviewed";
};
const isAbout = (record: StoredRecord): record is About => (TYPES as readonly string[]).includes(record.type);

function requested(record: StoredRecord & { readonly type: "approval.requested" }): ApprovalRequest | undefined {
  const { actor, session, call, v: _v, id: _id, src: _src, type: _type, time, ...asked } = record;
  if (actor === undefined || session === undefined || call === undefined) return undefined;
  return {
    id: record.approval,
    asked,
    actor: actor as RecordActor,
    session: session as SessionId,
    call,
    requestedAtMs: Date.parse(time),
    expiresAtMs: Date.parse(record.expires),
    decisions: [],
    state: { state: "pending" },
    brokeGlass: false,
    lastCall: call,
    review: undefined,
    digest: undefined,
  };
}

/** The record commits to the bytes; the vault has them. Where it has not any more, the approval binds nothing. */
async function digestFromVault(request: ApprovalRequest, reader: EvidenceReader): Promise<string | undefined> {
  const { asked, actor, call } = request;
  const body = await payload(reader, call, "request");
  const query = await payload(reader, call, "query");
  if (query === undefined || body?.length !== asked.bytes) return undefined;
  return digestOf({
    principal: { issuer: actor.iss, sub: actor.sub },
    connection: asked.connection,
    rule: asked.rule,
    method: asked.method,
    path: asked.path,
    query: query.toString(),
    contentType: asked.content_type,
    body,
  });
}

/** Empty where the call had none; undefined where it is not to be had any more. */
export async function payload(
  reader: EvidenceReader,
  call: ApprovalRequest["call"],
  field: "request" | "query",
  maxBytes: number = MAX_BODY_BYTES,
): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of reader.payload(call, field)) {
      chunks.push(chunk);
      bytes += chunk.byteLength;
      if (bytes > maxBytes) break;
    }
  } catch (error) {
    if (error instanceof HoopishError && error.code === "not_found") return Buffer.alloc(0);
    return undefined;
  }
  return Buffer.concat(chunks);
}
