import { isUtf8 } from "node:buffer";
import { StringDecoder } from "node:string_decoder";
import { formatBytes } from "../terminal/units.ts";
import { eventText } from "./event-text.ts";
import type { BodyText } from "./shown-body.ts";
import { beginsAsGrpc, beginsAsPostgres, beginsAsWebSocket, FramedBody, PostgresBody } from "./wire-text.ts";

/** So much of a body tells what kind of body it is. */
const DECIDE_BYTES = 16;
/** A JSON document, or one event, is shown in good order when it is complete; a larger one as it came. */
const MAX_DOCUMENT_CHARACTERS = 1024 * 1024;
const HEX_BYTES = 32;

/** @param raw every text as it came */
export function createBodyText(raw: boolean): BodyText {
  let kind: BodyText | undefined;
  let held: Buffer = Buffer.alloc(0);
  const decide = (): string => {
    kind = kindOf(held, raw);
    return kind.push(held);
  };
  return {
    push(bytes) {
      if (kind !== undefined) return kind.push(bytes);
      held = Buffer.concat([held, bytes]);
      return held.length < DECIDE_BYTES ? "" : decide();
    },
    end() {
      const text = kind === undefined ? decide() : "";
      return text + (kind?.end() ?? "");
    },
  };
}

function kindOf(beginning: Buffer, raw: boolean): BodyText {
  if (!raw && beginsAsPostgres(beginning)) return new PostgresBody();
  if (!raw && (beginsAsGrpc(beginning) || beginsAsWebSocket(beginning))) return new FramedBody();
  if (isBinary(beginning)) return new BinaryBody();
  if (raw) return new PlainBody();
  const text = beginning.toString("utf8").replace(/^\ufeff/, "");
  if (/^\s*(?:data|event|id|retry)?:/.test(text)) return new EventStream();
  return /^\s*[[{]/.test(text) ? new JsonBody() : new PlainBody();
}

/** A cut may fall inside a character: what is left of it begins with a byte that begins one (RFC 3629 §4). */
function isBinary(beginning: Buffer): boolean {
  if (beginning.includes(0)) return true;
  if (isUtf8(beginning)) return false;
  for (let at = Math.max(0, beginning.length - 3); at < beginning.length; at += 1) {
    const byte = beginning[at] ?? 0;
    if (byte >= 0xc2 && byte <= 0xf4 && isUtf8(beginning.subarray(0, at))) return false;
  }
  return true;
}

class BinaryBody implements BodyText {
  #first: Buffer = Buffer.alloc(0);
  #length = 0;

  push(bytes: Buffer): string {
    this.#length += bytes.length;
    if (this.#first.length < HEX_BYTES) this.#first = Buffer.concat([this.#first, bytes.subarray(0, HEX_BYTES)]);
    return "";
  }

  end(): string {
    const hex = this.#first.subarray(0, HEX_BYTES).toString("hex").replace(/../g, "$& ").trimEnd();
    return `${formatBytes(this.#length)} that are no text: ${hex}${this.#length > HEX_BYTES ? " …" : ""}`;
  }
}

class PlainBody implements BodyText {
  readonly #decoder = new StringDecoder("utf8");

  push(bytes: Buffer): string {
    return this.#decoder.write(bytes);
  }

  end(): string {
    return this.#decoder.end();
  }
}

/** One JSON value, or one a line, as Ollama streams. */
class JsonBody implements BodyText {
  readonly #decoder = new StringDecoder("utf8");
  #text = "";
  /** It is no JSON, or too much of it. */
  #plain = false;

  push(bytes: Buffer): string {
    const more = this.#decoder.write(bytes);
    if (this.#plain) return more;
    this.#text += more;
    let out = "";
    for (let end = this.#text.indexOf("\n"); end !== -1; end = this.#text.indexOf("\n")) {
      const value = parse(this.#text.slice(0, end));
      // A document over several lines is complete at its end.
      if (value === undefined) break;
      out += shown(value);
      this.#text = this.#text.slice(end + 1);
    }
    if (this.#text.length <= MAX_DOCUMENT_CHARACTERS) return out;
    this.#plain = true;
    return out + this.#take();
  }

  end(): string {
    const rest = this.#take() + this.#decoder.end();
    const value = parse(rest);
    return value === undefined ? rest : shown(value);
  }

  #take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }
}

/** Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation). */
class EventStream implements BodyText {
  readonly #decoder = new StringDecoder("utf8");
  #text = "";

  push(bytes: Buffer): string {
    this.#text += this.#decoder.write(bytes);
    let out = "";
    for (let end = lineEnd(this.#text); end !== undefined; end = lineEnd(this.#text)) {
      out += this.#line(this.#text.slice(0, end.at));
      this.#text = this.#text.slice(end.at + end.length);
    }
    if (this.#text.length <= MAX_DOCUMENT_CHARACTERS) return out;
    const rest = this.#text;
    this.#text = "";
    return out + rest;
  }

  end(): string {
    const rest = this.#text + this.#decoder.end();
    this.#text = "";
    return this.#line(rest);
  }

  /** Each data line of models' APIs is a whole event. */
  #line(line: string): string {
    const data = /^\ufeff?data: ?(.*)$/s.exec(line)?.[1];
    if (data === undefined || data === "[DONE]") return "";
    const value = parse(data);
    return value === undefined ? `${data}\n` : shown(value);
  }
}

/** A carriage return may be half of a line's end: it waits for what follows. */
function lineEnd(text: string): { readonly at: number; readonly length: number } | undefined {
  const at = text.search(/\r\n|\n|\r(?=.)/s);
  return at === -1 ? undefined : { at, length: text.startsWith("\r\n", at) ? 2 : 1 };
}

const shown = (value: unknown): string => eventText(value) ?? `${JSON.stringify(value, undefined, 2)}\n`;

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
