import type { Deltas } from "./deltas.ts";
import { deltasOf } from "./deltas.ts";
import { JsonMask } from "./json-mask.ts";
import type { MaskPlan } from "./plan.ts";
import type { Tally } from "./tally.ts";
import { TextMask } from "./text-mask.ts";

/** Every token that could have been written, with its probability: what was masked could be read off them. */
export const DROPPED: ReadonlySet<string> = new Set(["logprobs", "top_logprobs", "token_logprobs"]);

interface Channel {
  readonly mask: TextMask;
  /** The last event that had a piece of it, and what else belongs to that event. */
  deltas: Deltas;
  tag: string;
}

/** Texts that come in pieces that events of one stream carry: each has its own hold-back. */
export class EventMask {
  readonly #plan: MaskPlan;
  readonly #tally: Tally;
  readonly #channels = new Map<string, Channel>();

  constructor(plan: MaskPlan, tally: Tally) {
    this.#plan = plan;
    this.#tally = tally;
  }

  /**
   * One event's JSON.
   * @param tag what stands around it in the stream, for an event that is made like it
   * @param before gets events that must come before this one: the rest of texts that it says are complete
   * @returns the event; undefined when it is no JSON
   */
  event(json: string, tag: string, before: (json: string, tag: string) => void): string | undefined {
    let event: unknown;
    try {
      event = JSON.parse(json);
    } catch {
      return undefined;
    }
    const deltas = deltasOf(event);
    const mine = new Map<string, string>();
    for (const { place, channel } of deltas?.pieces ?? []) mine.set(keyOf(place), channel);
    if (deltas !== undefined) {
      const here = new Set(mine.values());
      for (const name of this.#channels.keys()) {
        if (!here.has(name) && deltas.ends(name)) this.#flush(name, before);
      }
    }
    const special = (place: readonly (string | number)[]): ((raw: string) => string) | undefined => {
      const name = mine.get(keyOf(place));
      return name === undefined || deltas === undefined ? undefined : (raw) => this.#piece(name, raw, deltas, tag);
    };
    const options = {
      ...(mine.size === 0 ? {} : { special }),
      ...(this.#plan.wanted.size === 0 ? {} : { dropped: DROPPED }),
    };
    return new JsonMask(this.#plan, this.#tally, options).push(json, true);
  }

  /** The stream, or what it carries, is at its end. */
  end(give: (json: string, tag: string) => void): void {
    for (const name of [...this.#channels.keys()]) this.#flush(name, give);
  }

  #piece(name: string, raw: string, deltas: Deltas, tag: string): string {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = { mask: new TextMask(this.#plan, this.#tally, true), deltas, tag };
      this.#channels.set(name, channel);
    }
    channel.deltas = deltas;
    channel.tag = tag;
    const final = deltas.ends(name);
    if (final) this.#channels.delete(name);
    return channel.mask.push(raw, final);
  }

  #flush(name: string, give: (json: string, tag: string) => void): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    this.#channels.delete(name);
    const rest = channel.mask.push("", true);
    if (rest === "") return;
    const event = channel.deltas.rest(name, JSON.parse(`"${rest}"`) as string);
    if (event !== undefined) give(JSON.stringify(event), channel.tag);
  }
}

const keyOf = (place: readonly (string | number)[]): string => place.join("\u0000");
