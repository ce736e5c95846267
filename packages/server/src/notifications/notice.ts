import type { RecordType, StoredRecord } from "@hoopish/protocol";

/** Of which records notices are made. */
export const NOTICE_TYPES: readonly RecordType[] = [
  "approval.requested",
  "approval.granted",
  "approval.denied",
  "approval.expired",
  "approval.used",
  "approval.reviewed",
];

/** What somebody outside is told: who asks for what by which rule, and what was said. Never a body, a path or a header. */
export interface Notice {
  /** `approval.broke_glass`: granted by who asked. */
  readonly type: string;
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** @returns undefined for a record that is none of NOTICE_TYPES */
export function noticeOf(record: StoredRecord): Notice | undefined {
  const { time: timestamp } = record;
  const actor = record.actor?.name;
  switch (record.type) {
    case "approval.requested": {
      const { type, approval, connection, rule, operation, bytes, scope, quorum, groups, expires, reason, ticket } =
        record;
      const { call, session } = record;
      const asked = { operation, bytes, scope, quorum, groups, expires, reason, ticket };
      return { type, timestamp, data: defined({ approval, call, session, user: actor, connection, rule, ...asked }) };
    }
    case "approval.granted": {
      const { approval, connection, rule, by, reason, final, until, break_glass, call } = record;
      const type = break_glass === true ? "approval.broke_glass" : record.type;
      const said = { by, reason, final: final === true, until };
      return { type, timestamp, data: defined({ approval, call, connection, rule, ...said }) };
    }
    case "approval.denied":
    case "approval.reviewed": {
      const { type, approval, connection, rule, by, reason } = record;
      return { type, timestamp, data: { approval, connection, rule, by, reason } };
    }
    case "approval.expired": {
      const { type, approval, connection, rule, reason } = record;
      return { type, timestamp, data: defined({ approval, user: actor, connection, rule, reason }) };
    }
    case "approval.used": {
      const { type, approval, connection, rule, call } = record;
      return { type, timestamp, data: defined({ approval, call, user: actor, connection, rule }) };
    }
    default:
      return undefined;
  }
}

function defined(members: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}
