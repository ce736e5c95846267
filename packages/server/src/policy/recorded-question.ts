import type { RecordActor, StoredRecord } from "@hoopish/protocol";
import type { ConnectionConfig } from "../config/config.ts";
import type { Principal } from "../identity/principal.ts";
import { NO_USAGE, type PolicyQuestion } from "./question.ts";

export type DecidedRecord = StoredRecord & { readonly type: "call.decided" };

/** What the log does not tell of a call, from elsewhere. */
export interface BesideRecord {
  readonly groups: readonly string[];
  readonly session?: {
    readonly reason: string | undefined;
    readonly ticket: string | undefined;
    readonly ageMs: number;
  };
  /** The request's body, where it is kept and is JSON. */
  readonly json?: unknown;
  readonly usage?: PolicyQuestion["usage"];
}

/** What policy was asked of a recorded call, as far as its record tells it. */
export function recordedQuestion(
  record: DecidedRecord,
  actor: RecordActor,
  connection: ConnectionConfig,
  beside: BesideRecord,
): PolicyQuestion {
  const { tokens, ...asked } = record.operation;
  const principal: Principal = {
    ...{ sub: actor.sub, issuer: actor.iss, user: actor.name, name: actor.name, groups: beside.groups, amr: undefined },
    kind: actor.kind === "service" ? "service" : "human",
    expiresAtMs: Number.MAX_SAFE_INTEGER,
  };
  return {
    principal,
    session: beside.session ?? { reason: undefined, ticket: undefined, ageMs: 0 },
    connection,
    call: {
      ...asked,
      ...(tokens === undefined ? {} : { tokensRequested: tokens }),
      ...{ method: record.method, path: record.path, bytes: record.payloads?.request?.len ?? 0 },
    },
    request: { headers: [], json: beside.json },
    nowMs: Date.parse(record.time),
    usage: beside.usage ?? (() => NO_USAGE),
  };
}
