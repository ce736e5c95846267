import type { StoredRecord } from "@hoopish/protocol";
import type { Entry } from "../entry.ts";
import type { View } from "../view.ts";
import {
  agentPlan,
  agentRefusalPlan,
  invitationPlan,
  loginPlan,
  refusalPlan,
  sessionClosePlan,
  sessionOpenPlan,
} from "./access.ts";
import { callPlan } from "./calls.ts";
import { type EventPlan, eventLine, type OcsfSource } from "./event.ts";
import { gatePlan, otherPlan } from "./gate.ts";
import { gapPlan, keyPlan, policyPlan, recoveredPlan, startedPlan, stoppedPlan, storePlan } from "./keeping.ts";

/**
 * `views/ocsf.ndjson`: OCSF 1.8.0, one event a line. Every record is one event, but for call.decided, which is told with
 * its call's end: a call is one event.
 */
export const ocsfView = (source: OcsfSource): View => ({
  head: "",
  add: (entry) => {
    const plan = planOf(entry);
    return plan === undefined ? "" : eventLine(entry, plan, source);
  },
  // The event of a call that is still open stands in the export that has its end: a SIEM counts events.
  addOpen: () => "",
});

/** The whole mapping, in one list. */
function planOf({ record, call }: Entry): EventPlan | undefined {
  switch (record.type) {
    case "call.decided":
      return undefined;
    case "call.answered":
    case "call.interrupted":
      return callPlan(call ?? { ended: record, begun: undefined, session: undefined });
    case "auth.login":
      return loginPlan(record);
    case "auth.refused":
      return refusalPlan(record);
    case "session.open":
      return sessionOpenPlan(record);
    case "session.close":
      return sessionClosePlan(record);
    case "agent.enrolled":
    case "agent.connected":
    case "agent.disconnected":
    case "agent.revoked":
      return agentPlan(record);
    case "agent.invited":
      return invitationPlan(record);
    case "agent.refused":
      return agentRefusalPlan(record);
    case "audit.searched":
    case "audit.exported":
    case "audit.replayed":
    case "retention.purged":
    case "retention.held":
    case "retention.released":
      return storePlan(record);
    case "policy.loaded":
      return policyPlan(record);
    case "approval.requested":
    case "approval.granted":
    case "approval.denied":
    case "approval.expired":
    case "approval.used":
    case "approval.reviewed":
    case "lock.set":
    case "lock.lifted":
      return gatePlan(record);
    case "policy.refused":
      return otherPlan(record);
    case "key.rotated":
      return keyPlan(record);
    case "server.started":
      return startedPlan(record);
    case "server.stopped":
      return stoppedPlan(record);
    case "server.recovered":
      return recoveredPlan(record);
    case "log.gap":
      return gapPlan(record);
    default:
      return unknownPlan(record satisfies never);
  }
}

/** A log may hold types of a newer server: they are told too. */
const unknownPlan = (record: StoredRecord): EventPlan => otherPlan(record);
