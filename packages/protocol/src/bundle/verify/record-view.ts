import { RecordScanner } from "../../canonical-bytes.ts";

/** One record at a time, its members read where they stand: parsing each whole record would cost more than all else. */
export class RecordView {
  readonly #scanner = new RecordScanner();
  #bytes: Buffer = Buffer.alloc(0);
  #from = 0;
  #to = 0;

  /** Whether `bytes[from, to)` is one canonical record; only then may members be asked for. */
  read(bytes: Buffer, from: number, to: number): boolean {
    this.#bytes = bytes;
    this.#from = from;
    this.#to = to;
    return this.#scanner.scan(bytes, from, to);
  }

  /** A member's canonical JSON text; undefined when the record has no such member. */
  json(name: string): string | undefined {
    const member = this.#scanner.find(name);
    if (member === -1) return undefined;
    return this.#bytes.toString("utf8", this.#scanner.valueStart(member), this.#scanner.valueEnd(member));
  }

  /** A member that is a string. */
  text(name: string): string | undefined {
    const json = this.json(name);
    if (json === undefined || json.charCodeAt(0) !== 0x22) return undefined;
    return json.includes("\\") ? (JSON.parse(json) as string) : json.slice(1, -1);
  }

  /** The whole record's text. */
  whole(): string {
    return this.#bytes.toString("utf8", this.#from, this.#to);
  }
}
