import {
  CLOSE,
  decodeClose,
  encodeClose,
  encodeWebSocketMessage,
  HoopishError,
  TEXT,
  type WebSocketMessage,
  WebSocketMessageReader,
} from "@hoopish/protocol";
import { EventMask } from "./event-mask.ts";
import type { BodyMasker } from "./masker.ts";
import type { MaskPlan } from "./plan.ts";
import { Tally } from "./tally.ts";
import { TextMask } from "./text-mask.ts";

export interface WebSocketMaskOptions {
  readonly maxMessageBytes: number;
  /**
   * A message that is no JSON is a whole text: what a person says must not wait for what is said next. Without it such messages
   * are pieces of one text, as a model writes it.
   */
  readonly wholeTexts?: boolean;
  /** What cannot be looked into passes all the same, and this hears why. */
  readonly unseen?: (why: string) => void;
}

/**
 * Masks one direction of a WebSocket, as its messages cross a tunnel. JSON is an event of a stream, whose texts may go on in the
 * next ones; other text is one text that comes in pieces. What is held back goes out before the close.
 */
export class WebSocketMask implements BodyMasker {
  readonly tally: Tally;
  readonly #plan: MaskPlan;
  readonly #options: WebSocketMaskOptions;
  readonly #reader: WebSocketMessageReader;
  readonly #events: EventMask;
  #plain: TextMask | undefined;

  constructor(plan: MaskPlan, options: WebSocketMaskOptions) {
    this.tally = new Tally(plan);
    this.#plan = plan;
    this.#options = options;
    this.#reader = new WebSocketMessageReader(options.maxMessageBytes);
    this.#events = new EventMask(plan, this.tally);
  }

  /** @throws HoopishError response_uninspectable, policy_blocked */
  push(bytes: Buffer): Buffer {
    if (this.#plan.analyze !== undefined) throw uninspectable("an analyzer is not asked about messages of a WebSocket");
    let messages: WebSocketMessage[];
    try {
      messages = this.#reader.push(bytes);
    } catch (cause) {
      throw uninspectable((cause as Error).message);
    }
    return Buffer.concat(messages.flatMap((message) => this.#message(message)));
  }

  end(): Buffer {
    return Buffer.concat(this.#rest());
  }

  #message({ kind, data }: WebSocketMessage): Buffer[] {
    if (kind === CLOSE) {
      const { code, reason } = decodeClose(data);
      const told = reason === "" ? "" : new TextMask(this.#plan, this.tally, false).push(reason, true);
      const close = told === reason ? encodeWebSocketMessage(CLOSE, data) : encodeClose(code, told);
      return [...this.#rest(), close];
    }
    if (kind !== TEXT) {
      if (this.#options.unseen === undefined) throw uninspectable("a message is binary");
      this.#options.unseen("a message is binary");
      return [encodeWebSocketMessage(kind, data)];
    }
    // RFC 6455 §8.1: both ends have seen to it that it is UTF-8.
    const text = data.toString("utf8");
    const out: Buffer[] = [];
    if (/^\s*[[{]/.test(text)) {
      const masked = this.#events.event(text, "", (extra) => out.push(textMessage(extra)));
      if (masked !== undefined)
        return [...out, masked === text ? encodeWebSocketMessage(TEXT, data) : textMessage(masked)];
    }
    if (this.#options.wholeTexts === true)
      return [textMessage(new TextMask(this.#plan, this.tally, false).push(text, true))];
    this.#plain ??= new TextMask(this.#plan, this.tally, false);
    const masked = this.#plain.push(text, false);
    return masked === "" && text !== "" ? [] : [textMessage(masked)];
  }

  #rest(): Buffer[] {
    const out: Buffer[] = [];
    const plain = this.#plain?.push("", true) ?? "";
    this.#plain = undefined;
    if (plain !== "") out.push(textMessage(plain));
    this.#events.end((extra) => out.push(textMessage(extra)));
    return out;
  }
}

const textMessage = (text: string): Buffer => encodeWebSocketMessage(TEXT, Buffer.from(text));

const uninspectable = (why: string): HoopishError =>
  new HoopishError("response_uninspectable", `it cannot be looked into: ${why}`);
