import { RecordScanner } from "../../canonical-bytes.ts";

const QUOTE = 0x22;
const ZERO = 0x30;
const NINE = 0x39;
const BOOT = Buffer.from('{"boot":"');
const N = Buffer.from('","n":');
const REPLICA = Buffer.from(',"replica":"');
const MAX_BOOT_BYTES = 128;
/** `2026-11-23T08:00:00.000Z`: where digits stand, and what stands between them. */
const TIME_FORM = "0000-00-00T00:00:00.000Z";

/**
 * One record at a time, its members read where they stand: to parse each record, or to make a string of each of its
 * members, would cost more than all else, in time and in memory to be collected.
 */
export class RecordView {
  readonly #scanner = new RecordScanner();
  #bytes: Buffer = Buffer.alloc(0);
  #from = 0;
  #to = 0;
  #lastSource: Buffer = Buffer.alloc(0);
  /** After {@link readSource}. */
  boot = "";
  n = 0;

  /** Whether `bytes[from, to)` is one canonical record; only then may members be asked for. */
  read(bytes: Buffer, from: number, to: number): boolean {
    this.#bytes = bytes;
    this.#from = from;
    this.#to = to;
    return this.#scanner.scan(bytes, from, to);
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  /** Number of the record's member `name`, for `start` and `end`; -1 when there is none. */
  member(name: string): number {
    return this.#scanner.find(name);
  }

  start(member: number): number {
    return this.#scanner.valueStart(member);
  }

  end(member: number): number {
    return this.#scanner.valueEnd(member);
  }

  /** A member's canonical JSON text; undefined when the record has no such member. */
  json(name: string): string | undefined {
    const member = this.member(name);
    return member === -1 ? undefined : this.#bytes.toString("utf8", this.start(member), this.end(member));
  }

  /** A member that is a string. */
  text(name: string): string | undefined {
    const member = this.member(name);
    if (member === -1 || this.#bytes[this.start(member)] !== QUOTE) return undefined;
    const text = this.#bytes.toString("utf8", this.start(member) + 1, this.end(member) - 1);
    return text.includes("\\") ? (JSON.parse(`"${text}"`) as string) : text;
  }

  /** Whether the member is this very JSON text, of ASCII characters. */
  is(name: string, json: string): boolean {
    const member = this.member(name);
    if (member === -1 || this.end(member) - this.start(member) !== json.length) return false;
    const start = this.start(member);
    for (let i = 0; i < json.length; i++) if (this.#bytes[start + i] !== json.charCodeAt(i)) return false;
    return true;
  }

  /** Whether the record has a time of the form that records have: RFC 3339, UTC, milliseconds. */
  hasTime(): boolean {
    const member = this.member("time");
    if (member === -1 || this.end(member) - this.start(member) !== TIME_FORM.length + 2) return false;
    const start = this.start(member) + 1;
    for (let i = 0; i < TIME_FORM.length; i++) {
      const byte = this.#bytes[start + i] as number;
      const form = TIME_FORM.charCodeAt(i);
      if (form === ZERO ? byte < ZERO || byte > NINE : byte !== form) return false;
    }
    return true;
  }

  /** Reads `src` into `boot` and `n`. @returns false when it is not `{"boot":…,"n":…,"replica":…}` */
  readSource(): boolean {
    const member = this.member("src");
    if (member === -1) return false;
    const [start, end] = [this.start(member), this.end(member)];
    const known = this.#lastSource.length;
    // Nearly always the process of the record before.
    const same =
      known > 0 && this.#bytes.compare(this.#lastSource, 0, known, start, Math.min(start + known, end)) === 0;
    const numberAt = same ? start + known : this.#readBoot(start, end);
    if (numberAt === -1) return false;
    let at = numberAt;
    this.n = 0;
    for (; at < end; at++) {
      const byte = this.#bytes[at] as number;
      if (byte < ZERO || byte > NINE) break;
      this.n = this.n * 10 + (byte - ZERO);
    }
    return at > numberAt && this.#startsWith(REPLICA, at, end);
  }

  #readBoot(start: number, end: number): number {
    if (!this.#startsWith(BOOT, start, end)) return -1;
    const from = start + BOOT.length;
    const to = this.#bytes.indexOf(QUOTE, from);
    if (to <= from || to - from > MAX_BOOT_BYTES || !this.#startsWith(N, to, end)) return -1;
    this.boot = this.#bytes.toString("utf8", from, to);
    this.#lastSource = Buffer.from(this.#bytes.subarray(start, to + N.length));
    return to + N.length;
  }

  #startsWith(prefix: Buffer, at: number, end: number): boolean {
    if (at + prefix.length > end) return false;
    for (let i = 0; i < prefix.length; i++) if (this.#bytes[at + i] !== prefix[i]) return false;
    return true;
  }

  /** The whole record's text. */
  whole(): string {
    return this.#bytes.toString("utf8", this.#from, this.#to);
  }
}
