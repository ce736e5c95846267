import { Buffer } from "node:buffer";
import { errorFields, type Message, MessageReader, parseRowDescription } from "@hoopish/protocol/postgres";
import type { BodyText } from "./shown-body.ts";

/** Rows of one answer that are shown; the rest is counted. */
const MAX_ROWS = 200;
const MAX_CELL = 120;
const LARGEST = 64 * 1024 * 1024;

/** Types of messages with which an answer of PostgreSQL begins. */
const FIRST = "12ACDEGHINSTZnt";

/** Whether these bytes begin as PostgreSQL's messages do: a letter, and a length that is small for an answer's first one. */
export function beginsAsPostgres(bytes: Buffer): boolean {
  if (bytes.length < 5 || !FIRST.includes(String.fromCharCode(bytes[0] as number))) return false;
  const length = bytes.readInt32BE(1);
  return length >= 4 && length < 1_048_576;
}

/** What a database answered, as psql shows it with -A: columns, rows, tags, errors. */
export class PostgresBody implements BodyText {
  readonly #reader = new MessageReader({ side: "backend", maxMessageBytes: LARGEST });
  #binary: readonly boolean[] = [];
  #rows = 0;
  #broken = false;

  push(bytes: Buffer): string {
    if (this.#broken) return "";
    try {
      return this.#reader
        .push(bytes)
        .map((message) => this.#shown(message))
        .join("");
    } catch {
      this.#broken = true;
      return "what follows is no message of PostgreSQL\n";
    }
  }

  end(): string {
    return "";
  }

  #shown({ type, body }: Message): string {
    switch (type) {
      case "T": {
        const columns = parseRowDescription(body);
        this.#binary = columns.map(({ format }) => format === 1);
        this.#rows = 0;
        return `${columns.map(({ name }) => name).join(" | ")}\n`;
      }
      case "D":
        this.#rows += 1;
        if (this.#rows > MAX_ROWS) return this.#rows === MAX_ROWS + 1 ? "…\n" : "";
        return `${this.#cells(body).join(" | ")}\n`;
      case "C":
        return `${body.toString("utf8", 0, Math.max(0, body.length - 1))}\n`;
      case "E":
      case "N": {
        const fields = errorFields(body);
        return `${fields.get("S") ?? ""} ${fields.get("C") ?? ""}: ${fields.get("M") ?? ""}\n`;
      }
      default:
        return "";
    }
  }

  #cells(body: Buffer): string[] {
    const cells: string[] = [];
    let at = 2;
    for (let i = 0; i < body.readUInt16BE(0) && at + 4 <= body.length; i++) {
      const length = body.readInt32BE(at);
      at += 4;
      if (length < 0) cells.push("NULL");
      else {
        const bytes = body.subarray(at, at + length);
        cells.push(
          this.#binary[i] === true && !isText(bytes)
            ? `\\x${bytes.toString("hex", 0, 16)}`
            : bytes.toString("utf8").slice(0, MAX_CELL),
        );
        at += length;
      }
    }
    return cells;
  }
}

const isText = (bytes: Buffer): boolean => bytes.length > 0 && bytes.every((byte) => byte >= 0x20);

/** A message of gRPC (flag, length) as it stands in a body. */
export function beginsAsGrpc(bytes: Buffer): boolean {
  return bytes.length >= 5 && (bytes[0] === 0 || bytes[0] === 1) && bytes.readUInt32BE(1) < LARGEST;
}

/** A message of a WebSocket as it crosses the tunnel: 1 text, 2 binary, 8 close; then a length. */
export function beginsAsWebSocket(bytes: Buffer): boolean {
  return bytes.length >= 5 && [1, 2, 8].includes(bytes[0] as number) && bytes.readUInt32BE(1) < LARGEST;
}

/** Framed messages: how long each is, and the texts in it. What the numbers of a protobuf mean only its descriptor knows. */
export class FramedBody implements BodyText {
  #held: Buffer = Buffer.alloc(0);

  push(bytes: Buffer): string {
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    let out = "";
    while (this.#held.length >= 5) {
      const end = 5 + this.#held.readUInt32BE(1);
      if (this.#held.length < end) break;
      out += shownMessage(this.#held.subarray(5, end));
      this.#held = this.#held.subarray(end);
    }
    return out;
  }

  end(): string {
    return this.#held.length === 0 ? "" : `${this.#held.length} bytes of a message that broke off\n`;
  }
}

function shownMessage(bytes: Buffer): string {
  const texts = bytes.toString("utf8").match(/[^\p{Cc}\ufffd]{3,}/gu) ?? [];
  return `message of ${bytes.length} bytes${texts.length === 0 ? "" : `: ${texts.join(" · ")}`}\n`;
}
