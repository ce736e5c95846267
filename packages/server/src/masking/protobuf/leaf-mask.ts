import { isAscii, isUtf8 } from "node:buffer";
import { HoopishError } from "@hoopish/protocol";
import { MATCH } from "../candidate.ts";
import { skeleton } from "../chars.ts";
import { contextBefore, forgetContext, type KnownContext, knownContext, recallContext } from "../context.ts";
import { isNamed } from "../field-path.ts";
import { JsonMask } from "../json-mask.ts";
import { typeOfMember } from "../members.ts";
import type { Action, MaskPlan } from "../plan.ts";
import type { Tally } from "../tally.ts";
import { TextMask } from "../text-mask.ts";

/** So much of a value before another is looked back at. */
const BEFORE = 64;
/** Up to this length a loop is quicker than to ask whether bytes are ASCII. */
const SHORT = 48;
/** Names of numbers whose words are remembered. */
const MAX_NAMES = 1_024;

/** A number of fewer digits than ten is somebody's only when a word before it says so. */
const BY_ITSELF = 1_000_000_000;

/** What stands before the numbers of one name. */
interface BeforeNumber {
  readonly before: string;
  readonly text: string;
  /** A word in it says what a number is. */
  readonly says: boolean;
  readonly context: KnownContext;
}

/** Names and indexes from the root to a value. */
export type Place = readonly (string | number)[];

/** Masks single values, each with what stands before it: its name, and its neighbour, as they would stand in JSON. */
export class LeafMask {
  readonly #plan: MaskPlan;
  readonly #tally: Tally;
  /** A list into which every text goes instead of being masked. */
  readonly #seen: string[] | undefined;
  /** The last text, as it would stand before the next one. Made when somebody looks. */
  #last: { readonly name: string; readonly text: string } | undefined;
  #made: string | undefined = "";
  readonly #numbers = new Map<string, BeforeNumber>();

  constructor(plan: MaskPlan, tally: Tally, seen?: string[]) {
    this.#plan = plan;
    this.#tally = tally;
    this.#seen = seen;
  }

  /** Whether places of values have to be known. */
  get tracks(): boolean {
    return this.#plan.fields.length > 0;
  }

  /** Whether rules tell elements of one list apart. */
  get indexed(): boolean {
    return this.#plan.fields.some(({ path }) => path.some(({ kind }) => kind === "index"));
  }

  /** The action of the rule that names one of these places. */
  ruleFor(...places: readonly Place[]): Action | undefined {
    let found: Action | undefined;
    for (const { path, action } of this.#plan.fields) {
      if ((found === undefined || action.kind === "block") && places.some((place) => isNamed(path, place)))
        found = action;
    }
    return found;
  }

  /**
   * A text that stands in `[from, to)`.
   * @param rule what a field rule says of it
   * @returns what it becomes; undefined: it stays. @throws HoopishError
   */
  text(bytes: Buffer, from: number, to: number, name: string, rule?: Action): Buffer | undefined {
    if (from === to) return undefined;
    const plain = isPlain(bytes, from, to);
    const text = plain ? bytes.toString("latin1", from, to) : utf8At(bytes, from, to);
    const masked = this.#masked(text, plain, name, rule);
    this.#remember(name, text);
    return masked === undefined || masked === text ? undefined : Buffer.from(masked);
  }

  /** A number. @returns whether it has to become 0. @throws HoopishError policy_blocked */
  number(value: number | bigint | boolean, name: string, rule?: Action): boolean {
    if (this.#seen !== undefined) return false;
    if (rule !== undefined) {
      this.#tally.replace("FIELD", String(value), rule);
      return true;
    }
    if (!isLong(value)) return false;
    const { text, says, context } = this.#beforeNumber(name);
    if (value < BY_ITSELF && !says) return false;
    const digits = value.toString();
    const start = text.length;
    const { scanner } = this.#plan;
    scanner.begin(text + digits, start, start, start + digits.length, true);
    recallContext(context);
    if (scanner.next() !== MATCH) return false;
    const { found } = scanner;
    if (found.start !== start || found.end !== start + digits.length) return false;
    this.#tally.replace(found.type, digits);
    return true;
  }

  /** Bytes, or a number, that a rule names. @returns what stands for it. @throws HoopishError policy_blocked */
  field(value: string, rule: Action): string {
    return this.#tally.replace("FIELD", value, rule);
  }

  /** Whether nothing is found in what is no text, read a byte a character. */
  isClean(bytes: Buffer, from: number, to: number): boolean {
    const text = bytes.toString("latin1", from, to);
    this.#plan.scanner.begin(text, 0, 0, text.length, true);
    return this.#plan.scanner.next() !== MATCH;
  }

  #masked(text: string, plain: boolean, name: string, rule: Action | undefined): string | undefined {
    if (this.#seen !== undefined) {
      this.#seen.push(text);
      return undefined;
    }
    if (rule !== undefined) return this.#tally.replace("FIELD", skeleton(text).text, rule);
    const plan = this.#plan;
    const type = typeOfMember(name, text, 0, text.length, plan.wanted);
    if (type !== undefined) return this.#tally.replace(type, skeleton(text).text);
    if (isJson(text)) return new JsonMask(plan, this.#tally).push(text, true);
    const before = `${this.#before}"${name}":"`;
    if (plain && plan.own === undefined) {
      const whole = before + text;
      plan.scanner.begin(whole, before.length, before.length, whole.length, true);
      if (plan.scanner.next() !== MATCH) return undefined;
    }
    return new TextMask(plan, this.#tally, false, before).push(text, true);
  }

  /** What stands before the numbers of one name, read once for all of them. */
  #beforeNumber(name: string): BeforeNumber {
    const known = this.#numbers.get(name);
    if (known !== undefined && known.before === this.#before) return known;
    const text = `${this.#before}"${name}":`;
    forgetContext();
    const says = contextBefore(text, text.length) !== undefined;
    const read = { before: this.#before, text, says, context: knownContext() };
    forgetContext();
    if (this.#numbers.size >= MAX_NAMES) this.#numbers.clear();
    this.#numbers.set(name, read);
    return read;
  }

  /** An ASCII text that nobody has to look at, and that still says what the next one is. */
  pass(bytes: Buffer, from: number, to: number, name: string): void {
    this.#remember(name, bytes.toString("latin1", Math.max(from, to - BEFORE), to));
  }

  #remember(name: string, text: string): void {
    this.#last = { name, text };
    this.#made = undefined;
  }

  get #before(): string {
    if (this.#made === undefined) {
      const { name = "", text = "" } = this.#last ?? {};
      this.#made = `"${name}":"${text.length > BEFORE ? text.slice(-BEFORE) : text}",`;
    }
    return this.#made;
  }
}

/** Detectors want six digits at least; nobody's number is longer than 19. */
const isLong = (value: number | bigint | boolean): value is number | bigint =>
  typeof value === "number"
    ? value >= 100_000 && value < 1e19 && Number.isInteger(value)
    : typeof value === "bigint" && value >= 100_000n && value < 10_000_000_000_000_000_000n;

/** A document in a text, or a text written as one, whose escapes hide what it says. */
function isJson(text: string): boolean {
  if (!/^[\s\ufeff]*[[{"]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function isPlain(bytes: Buffer, from: number, to: number): boolean {
  if (to - from > SHORT) return isAscii(bytes.subarray(from, to));
  for (let at = from; at < to; at++) if ((bytes[at] as number) > 0x7f) return false;
  return true;
}

function utf8At(bytes: Buffer, from: number, to: number): string {
  if (!isUtf8(bytes.subarray(from, to))) throw uninspectable("a text in it is not UTF-8");
  return bytes.toString("utf8", from, to);
}

export const uninspectable = (why: string, cause?: unknown): HoopishError =>
  new HoopishError("response_uninspectable", `it cannot be looked into: ${why}`, cause === undefined ? {} : { cause });
