import { type CallId, HoopishError, PAYLOAD_FIELDS, type PayloadField, type RecordDraft } from "@hoopish/protocol";
import type { PayloadPiece } from "./port.ts";

const FIELD_INDEX = Object.fromEntries(PAYLOAD_FIELDS.map((field, index) => [field, index])) as Record<
  PayloadField,
  number
>;

/** Next `seq` by field. */
type Sequence = number[];

/** What an append changed, so that it can be taken back when the append is not written. */
export interface Admission {
  readonly opened: readonly CallId[];
  readonly closed: readonly (readonly [CallId, Sequence])[];
  readonly pieces: readonly PayloadPiece[];
}

const NOTHING: Admission = { opened: [], closed: [], pieces: [] };

/**
 * The calls that are decided and not ended. Payload is taken for these only, in order and without a hole: a mistake in
 * one caller is refused here, alone, and not by the database together with everybody's batch.
 */
export class OpenCalls {
  readonly #calls = new Map<CallId, Sequence>();

  /** @throws HoopishError evidence_unavailable; nothing is changed then */
  admit(drafts: readonly RecordDraft[], pieces: readonly PayloadPiece[]): Admission {
    if (pieces.length === 0 && drafts.every(({ type }) => !isCallRecord(type))) return NOTHING;
    const opened: CallId[] = [];
    const closed: [CallId, Sequence][] = [];
    let taken = 0;
    try {
      for (const draft of drafts) {
        if (draft.type !== "call.decided" || draft.call === undefined) continue;
        if (this.#calls.has(draft.call)) throw refused(`${draft.call} is decided already`);
        this.#calls.set(draft.call, new Array(PAYLOAD_FIELDS.length).fill(0));
        opened.push(draft.call);
      }
      for (const piece of pieces) {
        const sequence = this.#calls.get(piece.call);
        const field = FIELD_INDEX[piece.field];
        if (sequence === undefined) throw refused(`${piece.call} is not open, its payload cannot be taken`);
        if (sequence[field] !== piece.seq) {
          throw refused(`${piece.call} ${piece.field}: piece ${piece.seq} where ${sequence[field]} is next`);
        }
        sequence[field] = piece.seq + 1;
        taken += 1;
      }
      for (const draft of drafts) {
        if (draft.type !== "call.answered" || draft.call === undefined) continue;
        const sequence = this.#calls.get(draft.call);
        if (sequence === undefined) throw refused(`${draft.call} is not open, so it cannot end`);
        this.#calls.delete(draft.call);
        closed.push([draft.call, sequence]);
      }
      return { opened, closed, pieces };
    } catch (error) {
      this.undo({ opened, closed, pieces: pieces.slice(0, taken) });
      throw error;
    }
  }

  /** Takes back an admission. Admissions are taken back newest first. */
  undo({ opened, closed, pieces }: Admission): void {
    for (const [call, sequence] of closed) this.#calls.set(call, sequence);
    for (let i = pieces.length - 1; i >= 0; i--) {
      const piece = pieces[i] as PayloadPiece;
      const sequence = this.#calls.get(piece.call);
      if (sequence !== undefined) sequence[FIELD_INDEX[piece.field]] = piece.seq;
    }
    for (const call of opened) this.#calls.delete(call);
  }
}

const isCallRecord = (type: string): boolean => type === "call.decided" || type === "call.answered";
const refused = (what: string): HoopishError => new HoopishError("evidence_unavailable", what);
