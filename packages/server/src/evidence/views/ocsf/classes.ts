/**
 * The OCSF 1.8.0 event classes that records become, and the activities of each that are used. Activity 99 ("Other") goes
 * by a name of ours. https://schema.ocsf.io/1.8.0
 */
export interface OcsfClass {
  readonly uid: number;
  readonly name: string;
  readonly category: { readonly uid: number; readonly name: string };
}

const FINDINGS = { uid: 2, name: "Findings" };
const IDENTITY_AND_ACCESS = { uid: 3, name: "Identity & Access Management" };
const APPLICATION = { uid: 6, name: "Application Activity" };

/** For a type of record that this program does not know. */
export const BASE_EVENT: OcsfClass = { uid: 0, name: "Base Event", category: { uid: 0, name: "Uncategorized" } };
export const DETECTION_FINDING: OcsfClass = { uid: 2004, name: "Detection Finding", category: FINDINGS };
export const AUTHENTICATION: OcsfClass = { uid: 3002, name: "Authentication", category: IDENTITY_AND_ACCESS };
export const AUTHORIZE_SESSION: OcsfClass = { uid: 3003, name: "Authorize Session", category: IDENTITY_AND_ACCESS };
export const ENTITY_MANAGEMENT: OcsfClass = { uid: 3004, name: "Entity Management", category: IDENTITY_AND_ACCESS };
export const APPLICATION_LIFECYCLE: OcsfClass = { uid: 6002, name: "Application Lifecycle", category: APPLICATION };
export const API_ACTIVITY: OcsfClass = { uid: 6003, name: "API Activity", category: APPLICATION };
export const DATASTORE_ACTIVITY: OcsfClass = { uid: 6005, name: "Datastore Activity", category: APPLICATION };

export interface Activity {
  readonly id: number;
  readonly name: string;
}
const activity = (id: number, name: string): Activity => ({ id, name });
export const other = (name: string): Activity => activity(99, name);

export const FINDING_CREATED: Activity = activity(1, "Create");
export const LOGON: Activity = activity(1, "Logon");
export const ASSIGN_PRIVILEGES: Activity = activity(1, "Assign Privileges");
export const APP_START: Activity = activity(3, "Start");
export const APP_STOP: Activity = activity(4, "Stop");
type Activities<K extends string> = Readonly<Record<K, Activity>>;

/** Of Entity Management. */
export const ENTITY: Activities<"create" | "update" | "enroll" | "unenroll" | "activate" | "deactivate"> = {
  create: activity(1, "Create"),
  update: activity(3, "Update"),
  enroll: activity(6, "Enroll"),
  unenroll: activity(7, "Unenroll"),
  activate: activity(10, "Activate"),
  deactivate: activity(11, "Deactivate"),
};
/** Of Datastore Activity. */
export const DATA: Activities<"read" | "query" | "delete"> = {
  read: activity(1, "Read"),
  query: activity(4, "Query"),
  delete: activity(7, "Delete"),
};
