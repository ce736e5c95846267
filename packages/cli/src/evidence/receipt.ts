import {
  HoopishError,
  NoteError,
  parseTlogProof,
  type Receipt,
  type RecordType,
  receiptReplySchema,
  type VerifiedReceipt,
  verifyReceipt,
} from "@hoopish/protocol";
import type { Context } from "../context.ts";
import type { ApiClient } from "../http/api-client.ts";
import { observeCheckpoint, observeNote } from "./observe.ts";
import { contradiction, openKey } from "./pin.ts";

export interface Fetched {
  readonly receipt: Receipt;
  readonly verified: VerifiedReceipt;
}

/**
 * Asks for the proof of one of a call's records, and believes nothing of it: the record must be the one that was asked
 * for, in a tree that goes on from the pinned one, signed with the pinned key.
 * @throws HoopishError log_inconsistent when it is not; not_found when there is no such call or record
 */
export async function fetchReceipt(context: Context, api: ApiClient, call: string, type: RecordType): Promise<Fetched> {
  const pin = await observeCheckpoint(context, api);
  if (pin === undefined) {
    throw new HoopishError("not_found", "this server has no log that gives receipts", {
      hint: "it may be older than this hoopish",
    });
  }
  const reply = await api.get(`/api/v1/audit/calls/${call}/receipt`, receiptReplySchema, { type });
  const receipt: Receipt = { v: 1, leaf: reply.leaf, proof: reply.proof, vkey: pin.vkey };
  const verified = verifyOwn(receipt);
  if (verified.record.call !== call || verified.record.type !== type) {
    throw contradiction(`the server gave the proof of another record than ${type} of ${call}`);
  }
  await observeNote(context, api, pin, parseTlogProof(receipt.proof).checkpoint);
  return { receipt, verified };
}

function verifyOwn(receipt: Receipt): VerifiedReceipt {
  try {
    return verifyReceipt(receipt, [openKey(receipt.vkey)]);
  } catch (cause) {
    if (!(cause instanceof NoteError)) throw cause;
    throw contradiction(`the server's receipt proves nothing: ${cause.message}`, cause);
  }
}
