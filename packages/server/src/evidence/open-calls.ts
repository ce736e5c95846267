import {
  type CallId,
  HoopishError,
  isCallId,
  isSessionId,
  PAYLOAD_FIELDS,
  type PayloadField,
  type RecordDraft,
} from "@hoopish/protocol";
import { CallIndex } from "./call-index.ts";
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

/**
 * The calls that are decided and not ended. Payload is taken for these only, in order and without a hole: a mistake in
 * one caller is refused here, alone, and not by the database together with everybody's batch.
 */
export class OpenCalls {
  readonly #calls = new CallIndex<Sequence>();

  get size(): number {
    return this.#calls.size;
  }

  /** @throws HoopishError evidence_unavailable; nothing is changed then */
  admit(drafts: readonly RecordDraft[], pieces: readonly PayloadPiece[]): Admission {
    const opened: CallId[] = [];
    const closed: [CallId, Sequence][] = [];
    let taken = 0;
    try {
      for (const draft of drafts) if (draft.type === "call.decided") opened.push(this.#decide(draft));
      for (const piece of pieces) {
        this.#takePiece(piece);
        taken += 1;
      }
      for (const draft of drafts) if (ENDS.has(draft.type)) this.#end(draft, closed);
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

  /** Nothing is known of them any more: they take no more payload. */
  clear(): void {
    this.#calls.clear();
  }

  #decide({ call, session }: RecordDraft): CallId {
    if (!isCallId(call)) throw refused(`"${call}" is not a call id`);
    if (session !== undefined && !isSessionId(session)) throw refused(`"${session}" is not a session id`);
    if (this.#calls.has(call)) throw refused(`${call} is decided already`);
    this.#calls.set(call, new Array(PAYLOAD_FIELDS.length).fill(0));
    return call;
  }

  #takePiece({ call, field, seq }: PayloadPiece): void {
    const sequence = this.#calls.get(call);
    const number = FIELD_INDEX[field];
    if (sequence === undefined) throw refused(`${call} is not open, its payload cannot be taken`);
    if (sequence[number] !== seq) throw refused(`${call} ${field}: piece ${seq} where ${sequence[number]} is next`);
    sequence[number] = seq + 1;
  }

  #end({ type, call }: RecordDraft, closed: [CallId, Sequence][]): void {
    const sequence = call === undefined ? undefined : this.#calls.get(call);
    if (call !== undefined && sequence !== undefined) {
      this.#calls.delete(call);
      closed.push([call, sequence]);
    } else if (type === "call.answered") {
      throw refused(`${call} is not open, so it cannot end`);
    }
  }
}

/** call.interrupted also ends calls of an earlier process, which are not open here. */
const ENDS: ReadonlySet<string> = new Set(["call.answered", "call.interrupted"]);
const refused = (what: string): HoopishError => new HoopishError("evidence_unavailable", what);
