import { EventsBody, JsonBody, LinesBody, type StringMask, TextBody } from "./body-mask.ts";
import { maskForm } from "./form-mask.ts";
import { JSON_TYPES, LINE_TYPES, type MediaType } from "./media-type.ts";
import { maskMultipart } from "./multipart-mask.ts";
import type { MaskPlan } from "./plan.ts";
import { Tally } from "./tally.ts";

/** Hears why a body passes that could not be looked into. */
export type OnUnseen = (why: string) => void;

/** What is not what its type says passes as it is, where the operator has said so: then it has to be there whole. */
function lenient(body: string, media: MediaType, plan: MaskPlan, tally: Tally, unseen: OnUnseen): string {
  const trial = new Tally(plan);
  try {
    const mask = chooseMask(media, plan, trial);
    const masked = mask.push(body) + mask.end();
    tally.add(trial);
    return masked;
  } catch (error) {
    if ((error as { code?: string }).code !== "response_uninspectable") throw error;
    unseen((error as Error).message);
    return body;
  }
}

/** For a body that comes in pieces. A type that is a lie is seen through: what begins as JSON is looked at as JSON. */
export function chooseMask(media: MediaType, plan: MaskPlan, tally: Tally, unseen?: OnUnseen): StringMask {
  if (unseen !== undefined && (JSON_TYPES.test(media.type) || LINE_TYPES.test(media.type))) {
    return new WholeBody((body) => lenient(body, media, plan, tally, unseen));
  }
  if (media.type === "text/event-stream") return new EventsBody(plan, tally);
  if (LINE_TYPES.test(media.type)) return new LinesBody(plan, tally);
  if (JSON_TYPES.test(media.type)) return new JsonBody(plan, tally, true);
  if (media.type === "application/x-www-form-urlencoded") return new WholeBody((body) => maskForm(body, plan, tally));
  if (media.type === "multipart/form-data") {
    return new WholeBody((body) =>
      maskMultipart(body, media.parameters.get("boundary"), (part, name) =>
        part.type === "text/plain" && name !== undefined
          ? new TextBody(plan, tally, `${name}: `)
          : chooseMask(part, plan, tally),
      ),
    );
  }
  return new Sniffed(plan, tally);
}

/** Text whose beginning says what it is. */
class Sniffed implements StringMask {
  readonly #plan: MaskPlan;
  readonly #tally: Tally;
  #start = "";
  #mask: StringMask | undefined;

  constructor(plan: MaskPlan, tally: Tally) {
    this.#plan = plan;
    this.#tally = tally;
  }

  push(piece: string): string {
    if (this.#mask !== undefined) return this.#mask.push(piece);
    this.#start += piece;
    const first = /[^\s\ufeff]/.exec(this.#start)?.[0];
    if (first === undefined) return "";
    const looksLikeJson = first === "{" || first === "[";
    // Only when all of it is there can it be told whether escapes in it are to be read.
    this.#mask = looksLikeJson
      ? new WholeBody((body) => this.#jsonOrText(body))
      : new TextBody(this.#plan, this.#tally);
    return this.#mask.push(this.#start);
  }

  end(): string {
    return this.#mask === undefined ? this.#start : this.#mask.end();
  }

  #jsonOrText(body: string): string {
    const mask = isJson(body) ? new JsonBody(this.#plan, this.#tally, false) : new TextBody(this.#plan, this.#tally);
    return mask.push(body) + mask.end();
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** A body that is masked when all of it is there. */
class WholeBody implements StringMask {
  readonly #mask: (body: string) => string;
  #body = "";

  constructor(mask: (body: string) => string) {
    this.#mask = mask;
  }

  push(piece: string): string {
    this.#body += piece;
    return "";
  }
  end(): string {
    return this.#mask(this.#body);
  }
}
