import { PAYLOAD_FIELDS, type PayloadField, type RetentionClass } from "../../record.ts";
import { CHUNK_RECORDS, payloadPath } from "../layout.ts";
import { COMMITMENT_CHARS } from "./commitments.ts";

/** When a call was decided, and so when and under which class its payloads may be purged. */
export interface CallTime {
  /** Unix milliseconds. */
  readonly ms: number;
  /** Undefined when the record that decided stands before the range. */
  readonly class: RetentionClass | undefined;
}

/** A payload that a record commits to. */
export interface CommittedPayload {
  readonly call: string;
  readonly field: PayloadField;
  /** base64(HMAC-SHA-256(salt, bytes)). */
  readonly c: string;
  /** Bytes. */
  readonly len: number;
  /** Of the record that commits. */
  readonly index: number;
  readonly decided: CallTime;
}

const CLASSES: readonly CallTime["class"][] = [undefined, "default", "heldOrBlocked"];
const CALL_CHARS = 37;

/**
 * What the records of one chunk commit to, and has not been seen yet. Kept in flat arrays that are used again for the
 * next chunk: as objects it would be most of what the garbage collector has to do.
 */
export class CommittedPayloads {
  #count = 0;
  #capacity = 2 * CHUNK_RECORDS;
  #calls: Buffer = Buffer.alloc(this.#capacity * CALL_CHARS);
  #cs: Buffer = Buffer.alloc(this.#capacity * COMMITMENT_CHARS);
  #fields = new Uint8Array(this.#capacity);
  #classes = new Uint8Array(this.#capacity);
  #seen = new Uint8Array(this.#capacity);
  #lens = new Float64Array(this.#capacity);
  #indexes = new Float64Array(this.#capacity);
  #times = new Float64Array(this.#capacity);
  #next = 0;
  /** Made only when files come in another order than the records. */
  #places: Map<string, number> | undefined;

  /** @param c where the commitment's characters stand in `bytes` */
  add(call: string, field: number, bytes: Buffer, c: number, len: number, index: number, decided: CallTime): void {
    if (this.#count === this.#capacity) this.#grow();
    const at = this.#count++;
    this.#calls.write(call, at * CALL_CHARS, CALL_CHARS, "latin1");
    bytes.copy(this.#cs, at * COMMITMENT_CHARS, c, c + COMMITMENT_CHARS);
    this.#fields[at] = field;
    this.#classes[at] = CLASSES.indexOf(decided.class);
    this.#seen[at] = 0;
    this.#lens[at] = len;
    this.#indexes[at] = index;
    this.#times[at] = decided.ms;
  }

  /** The one that this file should be, once: afterwards it is not there any more. */
  take(call: string, field: PayloadField): CommittedPayload | undefined {
    while (this.#next < this.#count && this.#seen[this.#next] === 1) this.#next += 1;
    const at = this.#is(this.#next, call, field) ? this.#next : this.#places_().get(payloadPath(call, field));
    if (at === undefined || this.#seen[at] === 1) return undefined;
    this.#seen[at] = 1;
    return this.#at(at);
  }

  /** Gives what was not taken, and begins anew. */
  *drain(): Generator<CommittedPayload> {
    for (let at = 0; at < this.#count; at++) if (this.#seen[at] === 0) yield this.#at(at);
    this.#count = 0;
    this.#next = 0;
    this.#places = undefined;
  }

  #is(at: number, call: string, field: PayloadField): boolean {
    return at < this.#count && PAYLOAD_FIELDS[this.#fields[at] as number] === field && this.#call(at) === call;
  }

  #places_(): Map<string, number> {
    if (this.#places !== undefined) return this.#places;
    this.#places = new Map();
    // Of two that commit to one payload the first is found; the other stays, and is missing.
    for (let at = this.#count - 1; at >= 0; at--) {
      const field = PAYLOAD_FIELDS[this.#fields[at] as number] as PayloadField;
      if (this.#seen[at] === 0) this.#places.set(payloadPath(this.#call(at), field), at);
    }
    return this.#places;
  }

  #call(at: number): string {
    return this.#calls.toString("latin1", at * CALL_CHARS, (at + 1) * CALL_CHARS);
  }

  #at(at: number): CommittedPayload {
    return {
      call: this.#call(at),
      field: PAYLOAD_FIELDS[this.#fields[at] as number] as PayloadField,
      c: this.#cs.toString("latin1", at * COMMITMENT_CHARS, (at + 1) * COMMITMENT_CHARS),
      len: this.#lens[at] as number,
      index: this.#indexes[at] as number,
      decided: { ms: this.#times[at] as number, class: CLASSES[this.#classes[at] as number] },
    };
  }

  #grow(): void {
    this.#capacity *= 2;
    this.#calls = Buffer.concat([this.#calls, Buffer.alloc(this.#calls.length)]);
    this.#cs = Buffer.concat([this.#cs, Buffer.alloc(this.#cs.length)]);
    this.#fields = grown(this.#fields, new Uint8Array(this.#capacity));
    this.#classes = grown(this.#classes, new Uint8Array(this.#capacity));
    this.#seen = grown(this.#seen, new Uint8Array(this.#capacity));
    this.#lens = grown(this.#lens, new Float64Array(this.#capacity));
    this.#indexes = grown(this.#indexes, new Float64Array(this.#capacity));
    this.#times = grown(this.#times, new Float64Array(this.#capacity));
  }
}

function grown<T extends Uint8Array | Float64Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
