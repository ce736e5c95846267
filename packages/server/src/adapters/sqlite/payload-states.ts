import type { CallId, Payloads, PayloadView, StoredRecord } from "@hoopish/protocol";
import { PAYLOAD_FIELDS, retentionClassOf } from "@hoopish/protocol/record";
import { monthOf, retentionNumber } from "./keys.ts";
import type { Query } from "./query.ts";
import { purgedError, type VaultReader } from "./vault/vault-reader.ts";

type Decided = StoredRecord & { readonly type: "call.decided"; readonly call: CallId };

/** What became of a call's payloads: what the vault holds, and what the call's records say that it held. */
export function payloadViews(
  query: Query,
  vault: VaultReader,
  callKey: number,
  leaves: readonly string[],
): readonly PayloadView[] {
  const stored = new Map(vault.payloadsOf(callKey).map((payload) => [payload.field, payload]));
  const records = leaves.map((leaf) => JSON.parse(leaf) as StoredRecord & { readonly payloads?: Payloads });
  const committed: Payloads = Object.assign({}, ...records.map(({ payloads }) => payloads ?? {}));
  const gone = goneState(query, callKey, records[0] as Decided);
  return PAYLOAD_FIELDS.flatMap((field): readonly PayloadView[] => {
    const kept = stored.get(field);
    if (kept !== undefined) {
      const whole = kept.salted && committed[field]?.len === kept.length;
      return [{ field, bytes: kept.length, state: whole ? "complete" : "cut" }];
    }
    const bytes = committed[field]?.len ?? (field === "delivered" ? cutOff(records) : undefined);
    return bytes === undefined ? [] : [{ field, bytes, ...gone }];
  });
}

/** Bytes of an answer that a crash cut off: no record commits to it, and one says how much it was. */
export function cutOff(records: readonly StoredRecord[]): number | undefined {
  const bytes = records.find((record) => record.type === "call.interrupted")?.delivered ?? 0;
  return bytes === 0 ? undefined : bytes;
}

/** Why a payload of a call is not there. */
export function goneState(
  query: Query,
  callKey: number,
  decided: Decided,
): { readonly state: "purged"; readonly purges: readonly number[] } | { readonly state: "missing" } {
  const purges = query
    .all<{ idx: number }>(
      "SELECT idx FROM purges WHERE month = ? AND retention = ? AND idx > ? ORDER BY idx",
      monthOf(Date.parse(decided.time)),
      retentionNumber(retentionClassOf(decided.verdict)),
      callKey,
    )
    .map(({ idx }) => idx);
  return purges.length === 0 ? { state: "missing" } : { state: "purged", purges };
}

/** For a call of which nothing is found. @throws Error with code HOOPISH_PURGED when its class and month were purged */
export function refusePurged(query: Query, callKey: number): void {
  if (goneState(query, callKey, decidedRecord(query, callKey)).state === "purged") throw purgedError();
}

/** The record that decided a call. */
export function decidedRecord(query: Query, callKey: number): Decided {
  const row = query.get<{ leaf: Uint8Array }>("SELECT leaf FROM records WHERE idx = ?", callKey);
  return JSON.parse(Buffer.from(row?.leaf ?? []).toString()) as Decided;
}
