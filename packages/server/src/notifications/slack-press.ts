import { createHmac, timingSafeEqual } from "node:crypto";
import { type ApprovalId, HoopishError, isApprovalId } from "@hoopish/protocol";

/** Older than this, a request may be one that somebody kept. Slack's own advice. */
const MAX_AGE_SECONDS = 300;
const MAX_REASON = 500;

export const APPROVE = "hoopish_approve";
export const DENY = "hoopish_deny";
export const REASON = "hoopish_reason";

/** A button that somebody pressed. */
export interface SlackPress {
  /** Slack's id of who pressed. */
  readonly user: string;
  readonly approval: ApprovalId;
  readonly decision: "approve" | "deny";
  /** What stands in the message's field, where he wrote something. */
  readonly reason?: string;
  /** Where an answer to him may be sent, within half an hour. */
  readonly responseUrl?: string;
}

/**
 * Whether Slack has signed this body, lately (signing secret, version v0).
 * @throws HoopishError unauthenticated
 */
export function checkSlackSignature(
  body: string,
  { timestamp, signature }: { readonly timestamp: string | undefined; readonly signature: string | undefined },
  secret: string,
  nowMs: number,
): void {
  if (timestamp === undefined || !/^\d{1,12}$/.test(timestamp) || signature === undefined) {
    throw new HoopishError("unauthenticated", "this is not signed as Slack signs");
  }
  // The signature first: what is not Slack's gets no word about clocks.
  const own = Buffer.from(`v0=${createHmac("sha256", secret).update(`v0:${timestamp}:${body}`).digest("hex")}`);
  const theirs = Buffer.from(signature);
  if (own.length !== theirs.length || !timingSafeEqual(own, theirs)) {
    throw new HoopishError("unauthenticated", "the signature is not Slack's");
  }
  if (Math.abs(nowMs / 1_000 - Number(timestamp)) > MAX_AGE_SECONDS) {
    throw new HoopishError("unauthenticated", "the request is too old, or a clock is wrong");
  }
}

/** @param body `payload=` and JSON, form-encoded. @throws HoopishError bad_request for anything but a press of our buttons */
export function parseSlackPress(body: string): SlackPress {
  let payload: Payload;
  try {
    payload = JSON.parse(new URLSearchParams(body).get("payload") ?? "") as Payload;
  } catch (cause) {
    throw new HoopishError("bad_request", "there is no payload in it", { cause });
  }
  const [action, another] = Array.isArray(payload?.actions) ? payload.actions : [];
  const user = payload?.user?.id;
  const known = action?.action_id === APPROVE || action?.action_id === DENY;
  if (payload?.type !== "block_actions" || typeof user !== "string" || !known || another !== undefined) {
    throw new HoopishError("bad_request", "it is not a press of one of our buttons");
  }
  const { value } = action;
  if (typeof value !== "string" || !isApprovalId(value)) throw new HoopishError("bad_request", "it names no request");
  const reason = payload.state?.values?.[REASON]?.[REASON]?.value;
  const { response_url } = payload;
  return {
    user,
    approval: value as ApprovalId,
    decision: action.action_id === APPROVE ? "approve" : "deny",
    ...(typeof reason === "string" && reason.trim() !== "" ? { reason: reason.trim().slice(0, MAX_REASON) } : {}),
    ...(typeof response_url === "string" ? { responseUrl: response_url } : {}),
  };
}

/** What is read of a `block_actions` payload; all of it may be anything. */
interface Payload {
  readonly type?: unknown;
  readonly user?: { readonly id?: unknown };
  readonly actions?: readonly { readonly action_id?: unknown; readonly value?: unknown }[];
  readonly state?: {
    readonly values?: Readonly<Record<string, Readonly<Record<string, { readonly value?: unknown }>>>>;
  };
  readonly response_url?: unknown;
}
