import type { Stored } from "../lists.ts";
import {
  type Activity,
  APP_START,
  APP_STOP,
  APPLICATION_LIFECYCLE,
  DATA,
  DATASTORE_ACTIVITY,
  DETECTION_FINDING,
  ENTITY,
  ENTITY_MANAGEMENT,
  FINDING_CREATED,
  other,
} from "./classes.ts";
import { type EventPlan, type Fields, succeeded } from "./event.ts";
import { actorOf, endpointOf } from "./people.ts";

type StoreRecord = Stored<
  "audit.searched" | "audit.exported" | "audit.replayed" | "retention.purged" | "retention.held" | "retention.released"
>;

const STORE_ACTIVITIES: Readonly<Record<StoreRecord["type"], Activity>> = {
  "audit.searched": DATA.query,
  "audit.exported": DATA.read,
  "audit.replayed": DATA.read,
  "retention.purged": DATA.delete,
  "retention.held": other("Hold"),
  "retention.released": other("Release"),
};

/** What was done to the log and to the vault of payloads. */
export function storePlan(record: StoreRecord): EventPlan {
  const { actor, session, call, v, id, time, src, type, ...rest } = record;
  const name = type.startsWith("retention.") ? "payload vault" : "evidence log";
  return {
    class: DATASTORE_ACTIVITY,
    activity: STORE_ACTIVITIES[type],
    correlation: type === "audit.replayed" ? record.of : undefined,
    fields: {
      ...succeeded,
      actor: actorOf(record),
      src_endpoint: endpointOf(undefined),
      type_id: 1,
      type: "Database",
      database: { name, type_id: 99, type: "Append-only log" },
      ...(type === "audit.searched" ? { query_info: queryOf(record.query) } : {}),
    },
    unmapped: { [type]: rest },
  };
}

const queryOf = (query: Readonly<Record<string, string>>): Fields => ({
  name: "audit search",
  query_string: JSON.stringify(query),
});

const HOOPISH_SERVER = { name: "hoopish-server", vendor_name: "hoopish" };

export const startedPlan = ({ version, config }: Stored<"server.started">): EventPlan =>
  lifecyclePlan(APP_START, { ...HOOPISH_SERVER, version, url_string: config });

export const stoppedPlan = ({ reason }: Stored<"server.stopped">): EventPlan =>
  lifecyclePlan(APP_STOP, HOOPISH_SERVER, { status_detail: reason });

export const recoveredPlan = ({ calls, sessions, records }: Stored<"server.recovered">): EventPlan => ({
  ...lifecyclePlan(other("Recover"), HOOPISH_SERVER),
  severity: "low",
  unmapped: { calls, sessions, records },
});

function lifecyclePlan(activity: Activity, app: Fields, more: Fields = {}): EventPlan {
  return { class: APPLICATION_LIFECYCLE, activity, fields: { ...succeeded, app, ...more } };
}

export function policyPlan({ policy, rules, actor, session }: Stored<"policy.loaded">): EventPlan {
  const entity = { type_id: 5, type: "Policy", uid: policy, policy: { uid: policy, name: "rules" }, data: { rules } };
  const fields = { ...succeeded, actor: actorOf({ ...(actor && { actor }), ...(session && { session }) }), entity };
  return { class: ENTITY_MANAGEMENT, activity: ENTITY.activate, correlation: policy, fields };
}

export function keyPlan(record: Stored<"key.rotated">): EventPlan {
  const { key, previous } = record;
  const entity = { type_id: 99, type: "Signing key", uid: key, data: { previous } };
  const fields = { ...succeeded, actor: actorOf(record), entity };
  return { class: ENTITY_MANAGEMENT, activity: ENTITY.update, fields };
}

/** Evidence that was lost is what nobody may overlook. */
export function gapPlan({ id, time, reason, boot, n }: Stored<"log.gap">): EventPlan {
  const title = "Evidence was lost before it reached the log";
  return {
    class: DETECTION_FINDING,
    activity: FINDING_CREATED,
    severity: "high",
    fields: {
      status_id: 1,
      status: "New",
      finding_info: { uid: id, title, desc: reason, created_time: Date.parse(time) },
    },
    unmapped: { boot, n },
  };
}
