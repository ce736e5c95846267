import type { StoredRecord } from "@hoopish/protocol";
import { BASE_EVENT, ENTITY, ENTITY_MANAGEMENT, other } from "./classes.ts";
import { type EventPlan, succeeded } from "./event.ts";
import { actorOf } from "./people.ts";

/** Approvals and locks are entities that people ask for, decide on, set and lift (class 3004). */
export function gatePlan(record: StoredRecord): EventPlan {
  const { members, unmapped } = membersOf(record);
  const { approval, lock } = members as { readonly approval?: string; readonly lock?: string };
  const uid = approval ?? lock ?? record.id;
  const type = approval === undefined ? "Lock" : "Approval";
  const begins = record.type === "approval.requested" || record.type === "lock.set";
  return {
    class: ENTITY_MANAGEMENT,
    activity: begins ? ENTITY.create : other(record.type),
    correlation: record.call ?? uid,
    fields: { ...succeeded, actor: actorOf(record), entity: { type_id: 99, type, uid } },
    unmapped,
  };
}

/** What OCSF has no class for. */
export function otherPlan(record: StoredRecord): EventPlan {
  return { class: BASE_EVENT, activity: other(record.type), fields: {}, unmapped: membersOf(record).unmapped };
}

function membersOf(record: StoredRecord): { readonly members: object; readonly unmapped: Record<string, unknown> } {
  const { actor: _a, session: _s, call: _c, v: _v, id: _i, time: _t, src: _r, type, ...members } = record;
  return { members, unmapped: { [type]: members } };
}
