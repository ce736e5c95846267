import type { Stored } from "../lists.ts";
import {
  type Activity,
  ASSIGN_PRIVILEGES,
  AUTHENTICATION,
  AUTHORIZE_SESSION,
  ENTITY,
  ENTITY_MANAGEMENT,
  LOGON,
  other,
} from "./classes.ts";
import { type EventPlan, type Fields, failed, succeeded } from "./event.ts";
import { actorOf, endpointOf, userOf } from "./people.ts";

const HOOPISH = { service: { name: "hoopish" } };
/** Sign-ins are bearer tokens of the bank's identity provider (RFC 6750). */
const OAUTH = { auth_protocol_id: 6, auth_protocol: "OAUTH 2.0", logon_type_id: 3, logon_type: "Network" };

export function loginPlan(record: Stored<"auth.login">): EventPlan {
  const { actor, expires, client } = record;
  return {
    class: AUTHENTICATION,
    activity: LOGON,
    fields: {
      ...succeeded,
      ...HOOPISH,
      ...OAUTH,
      user: userOf(actor),
      actor: actorOf(record),
      // RFC 8176: the method "mfa" says that more than one factor was used; its absence says nothing.
      ...(actor?.amr?.includes("mfa") ? { is_mfa: true } : {}),
      session: { expiration_time: Date.parse(expires), issuer: actor?.iss },
    },
    unmapped: { client, amr: actor?.amr },
  };
}

/** Somebody who was known and had no grant was refused a session; of everybody else the sign-in was refused. */
export function refusalPlan(record: Stored<"auth.refused">): EventPlan {
  const { actor, reason, code, client, count } = record;
  const refused = { ...failed, status_code: code, status_detail: reason, user: userOf(actor), actor: actorOf(record) };
  if (actor !== undefined && code === "access_denied") {
    const fields = { ...refused, privileges: ["connect"] };
    return { class: AUTHORIZE_SESSION, activity: ASSIGN_PRIVILEGES, severity: "low", fields, unmapped: { client } };
  }
  return {
    class: AUTHENTICATION,
    activity: LOGON,
    severity: "low",
    fields: { ...refused, ...HOOPISH, ...OAUTH, count },
    unmapped: { client },
  };
}

/** A session is a grant in use: the privilege is its connection. */
export function sessionOpenPlan(record: Stored<"session.open">): EventPlan {
  const { rule, reason, ticket, host, client, previous } = record;
  return {
    class: AUTHORIZE_SESSION,
    activity: ASSIGN_PRIVILEGES,
    fields: { ...succeeded, ...sessionFields(record), src_endpoint: endpointOf(host) },
    unmapped: { rule, reason, ticket, client, previous },
  };
}

/** In the class of its opening, not a logoff: the sign-in goes on, and so may other sessions of it. */
export function sessionClosePlan(record: Stored<"session.close">): EventPlan {
  const { reason, calls, by } = record;
  return {
    class: AUTHORIZE_SESSION,
    activity: other("Revoke Privileges"),
    fields: { ...succeeded, status_detail: reason, ...sessionFields(record) },
    unmapped: { calls, by },
  };
}

function sessionFields(record: Stored<"session.open" | "session.close">): Fields {
  return {
    user: userOf(record.actor),
    actor: actorOf(record),
    session: { uid: record.session, issuer: record.actor?.iss },
    privileges: [`connect:${record.connection}`],
    dst_endpoint: { svc_name: record.connection },
  };
}

type AgentRecord = Stored<"agent.enrolled" | "agent.connected" | "agent.disconnected" | "agent.revoked">;

const AGENT_ACTIVITIES: Readonly<Record<AgentRecord["type"], Activity>> = {
  "agent.enrolled": ENTITY.enroll,
  "agent.connected": ENTITY.activate,
  "agent.disconnected": ENTITY.deactivate,
  "agent.revoked": ENTITY.unenroll,
};

export function agentPlan(record: AgentRecord): EventPlan {
  const { agent, name } = record;
  const reason = record.type === "agent.disconnected" ? record.reason : undefined;
  return {
    class: ENTITY_MANAGEMENT,
    activity: AGENT_ACTIVITIES[record.type],
    correlation: agent,
    fields: {
      ...succeeded,
      status_detail: reason,
      actor: actorOf(record),
      entity: { type_id: 99, type: "Agent", uid: agent, name, data: agentData(record) },
    },
  };
}

function agentData(record: AgentRecord): Fields {
  switch (record.type) {
    case "agent.enrolled":
      return { key: record.key };
    case "agent.connected":
      return { instance: record.instance, connections: record.connections };
    case "agent.disconnected":
      return { instance: record.instance };
    case "agent.revoked":
      return { by: record.by };
  }
}

export function invitationPlan(record: Stored<"agent.invited">): EventPlan {
  const entity = { type_id: 99, type: "Agent invitation", name: record.name, data: { expires: record.expires } };
  return {
    class: ENTITY_MANAGEMENT,
    activity: ENTITY.create,
    fields: { ...succeeded, actor: actorOf(record), entity },
  };
}

/** Something claimed to be an agent and could not prove it: a logon that failed. */
export function agentRefusalPlan({ name, reason }: Stored<"agent.refused">): EventPlan {
  const user = { name: name === "-" ? "unknown" : name, type_id: 99, type: "Agent" };
  return {
    class: AUTHENTICATION,
    activity: LOGON,
    severity: "low",
    fields: { ...failed, ...HOOPISH, status_detail: reason, user },
  };
}
