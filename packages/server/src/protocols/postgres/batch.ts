import { HoopishError } from "@hoopish/protocol";
import {
  type BindMessage,
  type Message,
  parseBind,
  parseClose,
  parseDescribe,
  parseExecute,
  parseParse,
  parseQuery,
} from "@hoopish/protocol/postgres";

/** One message of a client, as far as it means something for the call that it belongs to. */
export type Unit =
  | { readonly kind: "query"; readonly bytes: Buffer; readonly sql: string }
  | {
      readonly kind: "parse";
      readonly bytes: Buffer;
      readonly name: string;
      readonly sql: string;
      readonly types: readonly number[];
    }
  | ({ readonly kind: "bind"; readonly bytes: Buffer } & BindMessage)
  | { readonly kind: "describe"; readonly bytes: Buffer; readonly what: "S" | "P"; readonly name: string }
  | { readonly kind: "execute"; readonly bytes: Buffer; readonly portal: string }
  | { readonly kind: "close"; readonly bytes: Buffer; readonly what: "S" | "P"; readonly name: string };

/**
 * What a client sends before it waits for an answer: a simple query, or the messages of the extended protocol up to a Sync or a
 * Flush. One batch is one call.
 */
export interface Batch {
  readonly end: "query" | "sync" | "flush";
  readonly units: readonly Unit[];
}

/** Messages of one batch, at most: so many answers are waited for. */
const MAX_UNITS = 10_000;
/** Bytes of a name that PostgreSQL looks at: two that are longer may be one. */
const MAX_NAME = 63;

/** Puts messages together to batches. */
export class BatchReader {
  readonly #maxBytes: number;
  #units: Unit[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * @returns the batch that this message ends
   * @throws HoopishError bad_request, request_too_large, policy_blocked; PostgresProtocolError
   */
  push(message: Message): Batch | undefined {
    switch (message.type) {
      case "Q": {
        const unit: Unit = { kind: "query", bytes: message.bytes, sql: parseQuery(message.body) };
        // Messages of the extended protocol without a Sync before a simple query: two ways to speak at once.
        if (this.#units.length > 0) throw new HoopishError("bad_request", "a simple query came in an extended one");
        return { end: "query", units: [unit] };
      }
      case "S":
        return this.#ended("sync");
      case "H":
        return this.#ended("flush");
      default:
        this.#add(unitOf(message));
        return undefined;
    }
  }

  /** Forgets what has come of a batch. */
  reset(): void {
    this.#units = [];
    this.#bytes = 0;
  }

  #add(unit: Unit): void {
    for (const name of namesOf(unit)) {
      if (Buffer.byteLength(name) > MAX_NAME) throw new HoopishError("bad_request", "a name is longer than 63 bytes");
    }
    this.#bytes += unit.bytes.length;
    if (this.#bytes > this.#maxBytes || this.#units.length >= MAX_UNITS) {
      throw new HoopishError("request_too_large", "the messages before a Sync are larger than this connection's limit");
    }
    this.#units.push(unit);
  }

  #ended(end: "sync" | "flush"): Batch {
    const units = this.#units;
    this.reset();
    return { end, units };
  }
}

function namesOf(unit: Unit): readonly string[] {
  switch (unit.kind) {
    case "query":
      return [];
    case "bind":
      return [unit.portal, unit.statement];
    case "execute":
      return [unit.portal];
    default:
      return [unit.name];
  }
}

function unitOf({ type, bytes, body }: Message): Unit {
  switch (type) {
    case "P":
      return { kind: "parse", bytes, ...parseParse(body) };
    case "B":
      return { kind: "bind", bytes, ...parseBind(body) };
    case "D":
      return { kind: "describe", bytes, ...parseDescribe(body) };
    case "E":
      return { kind: "execute", bytes, portal: parseExecute(body).portal };
    case "C":
      return { kind: "close", bytes, ...parseClose(body) };
    case "F":
      // A function by its number: nobody can tell which one that is.
      throw new HoopishError(
        "policy_blocked",
        "function calls of the wire protocol are not carried: write them in SQL",
      );
    default:
      throw new HoopishError("bad_request", "that message is not expected here");
  }
}

/** Whether it asks nothing of the database but to forget names or to say that it is there. */
export const asksNothing = ({ units }: Batch): boolean => units.every(({ kind }) => kind === "close");
