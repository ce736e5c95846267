import type { BegunCall, EndedCall } from "../entry.ts";
import type { Ended, Stored } from "../lists.ts";
import { API_ACTIVITY, other } from "./classes.ts";
import { type EventPlan, type Fields, failed, succeeded } from "./event.ts";
import { actorOf, endpointOf } from "./people.ts";

type Answered = Stored<"call.answered">;

const PROFILES = ["ai_operation", "security_control"];
const INFERENCE = other("Inference");
/** The only methods that `http_request.http_method` may hold. */
const METHODS = ["OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT", "PATCH"];

/** A call as API Activity: one event, made at the record that ended it. */
export function callPlan(call: EndedCall): EventPlan {
  const { ended, begun, session } = call;
  const answered = ended.type === "call.answered" ? ended : undefined;
  const action = actionOf(begun, answered);
  return {
    class: API_ACTIVITY,
    activity: INFERENCE,
    severity: action.action_id === DENIED ? "low" : "informational",
    profiles: PROFILES,
    fields: {
      ...timesOf(begun, ended),
      ...statusOf(ended),
      ...action,
      actor: actorOf(ended),
      src_endpoint: endpointOf(session?.host),
      dst_endpoint: { svc_name: ended.connection },
      api: apiOf(begun, ended),
      ...modelOf(begun, ended),
      ...policyOf(begun),
      ...exchangeOf(begun, answered),
    },
    unmapped: unmappedOf(call, answered),
  };
}

const action = (id: number, name: string, dispositionId: number, disposition: string): Fields => ({
  action_id: id,
  action: name,
  disposition_id: dispositionId,
  disposition,
});
const DENIED = 2;
const ACTIONS = {
  unknown: action(0, "Unknown", 0, "Unknown"),
  allowed: action(1, "Allowed", 1, "Allowed"),
  approved: action(1, "Allowed", 8, "Approved"),
  denied: action(DENIED, "Denied", 2, "Blocked"),
  revoked: action(DENIED, "Denied", 24, "Access Revoked"),
  masked: action(4, "Modified", 11, "Corrected"),
} as const;

/** What hoopish did to the call. What a model made of it, or a network, is no action but a status. */
function actionOf(begun: BegunCall | undefined, answered: Answered | undefined): Fields {
  if (answered?.outcome === "revoked") return ACTIONS.revoked;
  if (answered?.outcome === "blocked" || begun?.decided.verdict === "block") return ACTIONS.denied;
  const held = begun?.decided.verdict === "hold";
  if (held && answered?.code?.startsWith("approval_")) return ACTIONS.denied;
  if (isMasked(begun?.decided.masked) || isMasked(answered?.masked)) return ACTIONS.masked;
  if (begun === undefined) return ACTIONS.unknown;
  return held ? ACTIONS.approved : ACTIONS.allowed;
}

const isMasked = (counts: Readonly<Record<string, number>> | undefined): boolean =>
  counts !== undefined && Object.values(counts).some((count) => count > 0);

function statusOf(ended: Ended): Fields {
  if (ended.type === "call.interrupted") return { ...failed, status_detail: ended.reason };
  const good = ended.outcome === "complete" && ended.status < 400;
  return {
    ...(good ? succeeded : failed),
    ...(ended.status === 0 ? {} : { status_code: String(ended.status) }),
    status_detail: ended.code ?? ended.outcome,
  };
}

function timesOf(begun: BegunCall | undefined, ended: Ended): Fields {
  const endTime = Date.parse(ended.time);
  if (ended.type === "call.answered") {
    return { start_time: endTime - ended.duration_ms, end_time: endTime, duration: ended.duration_ms };
  }
  return { ...(begun === undefined ? {} : { start_time: Date.parse(begun.decided.time) }), end_time: endTime };
}

function apiOf(begun: BegunCall | undefined, ended: Ended): Fields {
  return {
    operation: begun?.decided.operation.kind ?? "unknown",
    service: { name: ended.connection },
    ...(ended.call === undefined ? {} : { request: { uid: ended.call } }),
    ...(ended.type === "call.answered" && ended.status > 0
      ? { response: { code: ended.status, ...(ended.code === undefined ? {} : { error: ended.code }) } }
      : {}),
  };
}

/** The connection is all that is known of a model's provider: its address is known to its agent alone. */
function modelOf(begun: BegunCall | undefined, ended: Ended): Fields {
  const model = begun?.decided.operation.model;
  const tokens = ended.type === "call.answered" ? ended.tokens : undefined;
  return {
    ...(model === undefined ? {} : { ai_model: { name: model, ai_provider: ended.connection } }),
    message_context: {
      service: { name: ended.connection },
      ...(ended.session === undefined ? {} : { uid: ended.session }),
      ...(tokens === undefined
        ? {}
        : {
            prompt_tokens: tokens.input,
            completion_tokens: tokens.output,
            total_tokens: tokens.input + tokens.output,
          }),
    },
  };
}

function policyOf(begun: BegunCall | undefined): Fields {
  if (begun === undefined) return {};
  const { rule, policy, verdict } = begun.decided;
  const named = { uid: policy, ...(rule === undefined ? {} : { name: rule }) };
  return { policy: { ...named, is_applied: true }, authorizations: [{ decision: verdict, policy: named }] };
}

function exchangeOf(begun: BegunCall | undefined, answered: Answered | undefined): Fields {
  const http = begun?.decided.protocol === "http" ? begun.decided : undefined;
  return {
    ...(http === undefined
      ? {}
      : {
          http_request: {
            ...(METHODS.includes(http.method) ? { http_method: http.method } : {}),
            url: { path: http.path },
            ...(answered === undefined ? {} : { body_length: answered.bytes.request }),
          },
        }),
    ...(http === undefined || answered === undefined || answered.status === 0
      ? {}
      : { http_response: { code: answered.status, body_length: answered.bytes.delivered } }),
  };
}

/** `decided` names the record of the decision as `metadata` names that of the end. */
function unmappedOf({ ended, begun, session }: EndedCall, answered: Answered | undefined): Fields {
  return {
    outcome: answered?.outcome ?? "interrupted",
    delivered_bytes: answered?.bytes.delivered ?? (ended.type === "call.interrupted" ? ended.delivered : undefined),
    agent: answered?.agent,
    uninspected: answered?.uninspected,
    rows: begun?.decided.operation.rows,
    masked_in_request: begun?.decided.masked,
    masked_in_answer: answered?.masked,
    reason: session?.reason,
    ticket: session?.ticket,
    decided: begun === undefined ? undefined : { index: begun.index, leaf_hash: begun.leafHash },
  };
}
