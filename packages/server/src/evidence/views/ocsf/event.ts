import type { StoredRecord } from "@hoopish/protocol";
import type { Entry } from "../entry.ts";
import type { Activity, OcsfClass } from "./classes.ts";

/** Which program and which log events come from. */
export interface OcsfSource {
  /** hoopish's version. */
  readonly version: string;
  /** The log's origin, the first line of its checkpoints. */
  readonly origin: string;
}

/** Members that are undefined are left out. */
export type Fields = Readonly<Record<string, unknown>>;

const SEVERITIES = { informational: [1, "Informational"], low: [2, "Low"], high: [4, "High"] } as const;
export type Severity = keyof typeof SEVERITIES;

/** What a record becomes, without what every event has. */
export interface EventPlan {
  readonly class: OcsfClass;
  readonly activity: Activity;
  readonly severity?: Severity;
  readonly profiles?: readonly string[];
  /** The same for all events of one call, session or other thing. */
  readonly correlation?: string | undefined;
  readonly fields: Fields;
  /** What has no place in the class. */
  readonly unmapped?: Fields;
}

/**
 * An event as one line of JSON. It names its record in three ways: `metadata.uid` is the leaf hash (hex),
 * `metadata.sequence` its index in the log, `metadata.original_event_uid` the record's own id.
 */
export function eventLine({ index, leafHash, record }: Entry, plan: EventPlan, source: OcsfSource): string {
  const { class: of, activity, profiles, correlation } = plan;
  const [severityId, severity] = SEVERITIES[plan.severity ?? "informational"];
  const event = {
    class_uid: of.uid,
    class_name: of.name,
    category_uid: of.category.uid,
    category_name: of.category.name,
    activity_id: activity.id,
    activity_name: activity.name,
    // OCSF: what ties class and activity together; a JSON Schema cannot check that it does.
    type_uid: of.uid * 100 + activity.id,
    type_name: `${of.name}: ${activity.name}`,
    severity_id: severityId,
    severity,
    time: Date.parse(record.time),
    metadata: {
      version: "1.8.0",
      product: { name: "hoopish", vendor_name: "hoopish", version: source.version },
      ...(profiles === undefined ? {} : { profiles }),
      uid: leafHash,
      sequence: index,
      original_event_uid: record.id,
      event_code: record.type,
      correlation_uid: correlation ?? record.call ?? record.session,
      log_name: source.origin,
    },
    ...plan.fields,
    unmapped: unmapped(record, plan.unmapped),
  };
  return `${JSON.stringify(event)}\n`;
}

/** The hash of the actor's groups goes with every event: it tells whether somebody's groups had changed. */
function unmapped({ actor }: StoredRecord, more: Fields | undefined): Fields | undefined {
  if (actor === undefined) return more;
  return { groups_hash: actor.groups_hash, ...more };
}

export const succeeded = { status_id: 1, status: "Success" } as const;
export const failed = { status_id: 2, status: "Failure" } as const;
