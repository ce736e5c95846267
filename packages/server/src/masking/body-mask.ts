import { HoopishError } from "@hoopish/protocol";
import { DROPPED, EventMask } from "./event-mask.ts";
import { JsonMask } from "./json-mask.ts";
import type { MaskPlan } from "./plan.ts";
import type { Tally } from "./tally.ts";
import { TextMask } from "./text-mask.ts";

/** Masks a body that comes in pieces. */
export interface StringMask {
  /** @throws HoopishError response_uninspectable, policy_blocked */
  push(piece: string): string;
  end(): string;
}

/** One event or line is put together up to this length. */
const MAX_EVENT = 4_194_304;

const uninspectable = (why: string): HoopishError =>
  new HoopishError("response_uninspectable", `it cannot be looked into: ${why}`);

export class JsonBody implements StringMask {
  readonly #json: JsonMask;

  constructor(plan: MaskPlan, tally: Tally, drops: boolean) {
    this.#json = new JsonMask(plan, tally, drops && plan.wanted.size > 0 ? { dropped: DROPPED } : {});
  }
  push(piece: string): string {
    return this.#json.push(piece, false);
  }
  end(): string {
    return this.#json.push("", true);
  }
}

export class TextBody implements StringMask {
  readonly #text: TextMask;

  /** @param before what stands before it elsewhere, such as its name */
  constructor(plan: MaskPlan, tally: Tally, before = "") {
    this.#text = new TextMask(plan, tally, false, before);
  }
  push(piece: string): string {
    return this.#text.push(piece, false);
  }
  end(): string {
    return this.#text.push("", true);
  }
}

/** JSON, a document a line. */
export class LinesBody implements StringMask {
  readonly #events: EventMask;
  #line = "";

  constructor(plan: MaskPlan, tally: Tally) {
    this.#events = new EventMask(plan, tally);
  }

  push(piece: string): string {
    let out = "";
    let from = 0;
    for (let end = piece.indexOf("\n"); end !== -1; end = piece.indexOf("\n", from)) {
      out += this.#masked(this.#line + piece.slice(from, end), "\n");
      this.#line = "";
      from = end + 1;
    }
    this.#line += piece.slice(from);
    if (this.#line.length > MAX_EVENT) throw uninspectable("a line is too long");
    return out;
  }

  end(): string {
    let out = this.#masked(this.#line, "");
    this.#events.end((json) => {
      out += `${out === "" || out.endsWith("\n") ? "" : "\n"}${json}\n`;
    });
    return out;
  }

  #masked(line: string, end: string): string {
    const json = line.trim();
    if (json === "") return line + end;
    let out = "";
    const masked = this.#events.event(json, "", (extra) => {
      out += `${extra}\n`;
    });
    if (masked === undefined) throw uninspectable("a line of it is not JSON");
    return out + (masked === json ? line : line.replace(json, () => masked)) + end;
  }
}

/** Server-sent events (WHATWG HTML §9.2): lines that end in LF, CR or both, events that end with an empty line. */
export class EventsBody implements StringMask {
  readonly #plan: MaskPlan;
  readonly #tally: Tally;
  readonly #events: EventMask;
  /** Data that is no JSON is one text, whose pieces the events are. */
  #plain: TextMask | undefined;
  /** The same, where each piece is a JSON string. */
  #quoted: TextMask | undefined;
  #line = "";
  /** Lines of the event under way, with their ends. */
  #lines: { readonly text: string; readonly end: string }[] = [];
  #size = 0;
  #ending = "\n";

  constructor(plan: MaskPlan, tally: Tally) {
    this.#plan = plan;
    this.#tally = tally;
    this.#events = new EventMask(plan, tally);
  }

  push(piece: string): string {
    return this.#read(piece, false);
  }

  end(): string {
    let out = this.#read("", true);
    if (this.#line !== "") this.#lines.push({ text: this.#line, end: "" });
    this.#line = "";
    out += this.#event("");
    return out + this.#rest();
  }

  #read(piece: string, final: boolean): string {
    const text = this.#line + piece;
    let out = "";
    let from = 0;
    for (let at = this.#line.length === 0 ? 0 : Math.max(0, this.#line.length - 1); at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code !== 0x0a && code !== 0x0d) continue;
      // A CR at the very end: an LF may follow that belongs to it.
      if (code === 0x0d && at + 1 === text.length && !final) break;
      const end = code === 0x0d && text.charCodeAt(at + 1) === 0x0a ? "\r\n" : (text[at] as string);
      out += this.#lineRead(text.slice(from, at), end);
      at += end.length - 1;
      from = at + 1;
    }
    this.#line = text.slice(from);
    this.#size += piece.length;
    if (this.#size > MAX_EVENT && this.#line.length + this.#lines.length > 0)
      throw uninspectable("an event is too long");
    return out;
  }

  #lineRead(text: string, end: string): string {
    if (text !== "") {
      this.#lines.push({ text, end });
      return "";
    }
    this.#ending = end;
    return this.#event(end);
  }

  /** The event that ends here. */
  #event(blank: string): string {
    const lines = this.#lines;
    this.#lines = [];
    this.#size = 0;
    if (lines.length === 0) return blank;
    const data = lines.filter(({ text }) => /^\ufeff?data(?::|$)/.test(text));
    const others = new Map(
      lines.flatMap((line) => (data.includes(line) ? [] : [[line, this.#otherLine(line.text)] as const])),
    );
    const tag = [...others.values()]
      .filter((text) => text.startsWith("event:"))
      .map((text) => `${text}${this.#ending}`)
      .join("");
    const values = data.map(({ text }) => /^\ufeff?data:? ?([\s\S]*)$/.exec(text)?.[1] ?? "");
    const value = values.join("\n");
    let before = "";
    const give = (json: string, around: string): void => {
      before += `${around}${this.#dataLines(json)}${this.#ending}${this.#ending}`;
    };
    let masked: string | undefined = value;
    if (data.length > 0) masked = this.#data(value, tag, give);
    // An event whose whole text is held back says nothing yet.
    if (masked === undefined) return before;
    let out = before;
    let written = false;
    for (const line of lines) {
      const other = others.get(line);
      if (other !== undefined) out += other + line.end;
      else if (masked === value) out += line.text + line.end;
      else if (!written) {
        written = true;
        out += this.#dataLines(masked);
        out += line.end === "" ? "" : line.end;
      }
    }
    return out + blank;
  }

  #data(value: string, tag: string, give: (json: string, tag: string) => void): string | undefined {
    const trimmed = value.trim();
    if (trimmed === "[DONE]") {
      this.#flush(give);
      return value;
    }
    if (trimmed === "") return value;
    // A number alone is a piece of a text, too: only brackets say that it is more.
    if (/^[[{]/.test(trimmed)) {
      const masked = this.#events.event(trimmed, tag, give);
      if (masked !== undefined) return masked === trimmed ? value : masked;
    }
    if (/^"(?:[^"\\]|\\.)*"$/.test(trimmed)) {
      this.#quoted ??= new TextMask(this.#plan, this.#tally, true);
      return `"${this.#quoted.push(trimmed.slice(1, -1), false)}"`;
    }
    this.#plain ??= new TextMask(this.#plan, this.#tally, false);
    const masked = this.#plain.push(value, false);
    return masked === "" ? undefined : masked;
  }

  /** Comments, ids and names of events: each is a text of its own. */
  #otherLine(text: string): string {
    return new TextMask(this.#plan, this.#tally, false).push(text, true);
  }

  #rest(): string {
    let out = "";
    const give = (json: string, around: string): void => {
      out += `${around}${this.#dataLines(json)}${this.#ending}${this.#ending}`;
    };
    this.#flush(give);
    return out;
  }

  /** Each line of it is a line of data. */
  #dataLines(text: string): string {
    return text
      .split("\n")
      .map((part) => `data: ${part}`)
      .join(this.#ending);
  }

  /** What is held of every text: nothing more comes of it. */
  #flush(give: (json: string, tag: string) => void): void {
    const plain = this.#plain?.push("", true) ?? "";
    if (plain !== "") give(plain, "");
    const quoted = this.#quoted?.push("", true) ?? "";
    if (quoted !== "") give(`"${quoted}"`, "");
    this.#plain = undefined;
    this.#quoted = undefined;
    this.#events.end(give);
  }
}
