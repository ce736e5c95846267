import type { View } from "./candidate.ts";

/** A card whose digits stand one by one. */
const MAX_GROUPS = 19;
/** A chain of groups is looked at up to this length; the longest value (a card with separators) is shorter. */
const MAX_CHAIN = 48;
const MAX_SEPARATOR = 3;

/** What stands between two groups of digits. */
export const SPACE = 1;
export const DASH = 2;
export const POINT = 3;
const SLASH = 4;
/** `)`, `) `, `)-` */
export const CLOSING = 5;
/** ` (`, `(` */
const OPENING = 6;
/** `_` */
export const UNDER = 7;
/** A dash or a point with spaces around. */
export const LOOSE = 8;
export const STRANGE = 9;

/**
 * Groups of digits with separators between them: `(044)688-7538`, `4111 1111 1111 1111`, `12/27/1947`. One of them is read again
 * and again: numbers are what detectors look at most.
 */
export const starts: Int32Array = new Int32Array(MAX_GROUPS);
const ends = new Int32Array(MAX_GROUPS);
/** Digits up to and with each group. */
const totals = new Int32Array(MAX_GROUPS);
export const separators: Int8Array = new Int8Array(MAX_GROUPS);
export let count = 0;
export let source = "";

export const size = (group: number): number => (ends[group] as number) - (starts[group] as number);
export const endOf = (group: number): number => ends[group] as number;
export const totalOf = (group: number): number => totals[group] as number;

/** The digits of the groups up to this one. */
export function digitsTo(group: number): string {
  let digits = "";
  for (let index = 0; index <= group; index++) digits += source.slice(starts[index], ends[index]);
  return digits;
}

export const isDigit = (code: number): boolean => code >= 48 && code <= 57;

function separatorOf(code: number): number {
  switch (code) {
    case 0x20:
      return SPACE;
    case 0x2d:
      return DASH;
    case 0x2e:
      return POINT;
    case 0x2f:
      return SLASH;
    case 0x28:
      return OPENING;
    case 0x29:
      return CLOSING;
    case 0x5f:
      return UNDER;
    default:
      return 0;
  }
}

/** What several characters between two groups are together. */
function joined(kind: number, next: number): number {
  if (kind === CLOSING && (next === SPACE || next === DASH)) return CLOSING;
  if (kind === SPACE && next === OPENING) return OPENING;
  if ((kind === SPACE && (next === DASH || next === POINT)) || ((kind === DASH || kind === LOOSE) && next === SPACE)) {
    return LOOSE;
  }
  return STRANGE;
}

/** Where the chain began that was read last, and whether nothing joins its last group. −1: another text is looked at. */
let chainStart = -1;
let chainEnded = false;

/** Another text is looked at. */
export function forgetChain(): void {
  chainStart = -1;
}

/** @returns false when it goes on beyond what can be seen */
export function readChain({ text, high, final }: View, start: number): boolean {
  source = text;
  // Numbers stand in rows: what was read for the one before is read once.
  if (chainStart >= 0 && count > 1 && starts[1] === start) shiftChain();
  else {
    count = 0;
    chainEnded = false;
    readGroup(text, high, start, start, 0);
  }
  chainStart = start;
  while (!chainEnded && count < MAX_GROUPS) {
    const gap = endOf(count - 1);
    if (gap - start >= MAX_CHAIN) return true;
    let at = gap;
    let separator = 0;
    while (at < high && at - gap < MAX_SEPARATOR) {
      const kind = separatorOf(text.charCodeAt(at));
      if (kind === 0) break;
      separator = separator === 0 ? kind : joined(separator, kind);
      at++;
    }
    if (at === high) {
      chainStart = -1;
      return final;
    }
    if (at === gap || !isDigit(text.charCodeAt(at))) {
      chainEnded = true;
      return true;
    }
    readGroup(text, high, start, at, separator);
  }
  return true;
}

function readGroup(text: string, high: number, start: number, from: number, separator: number): void {
  let at = from;
  while (at < high && at - start < MAX_CHAIN && isDigit(text.charCodeAt(at))) at++;
  starts[count] = from;
  ends[count] = at;
  totals[count] = (count === 0 ? 0 : totalOf(count - 1)) + at - from;
  separators[count] = separator;
  count++;
}

/** The chain without its first group; a last one that was cut is read again. */
function shiftChain(): void {
  if (endOf(count - 1) - chainStart >= MAX_CHAIN) {
    count--;
    chainEnded = false;
  }
  const first = totalOf(0);
  count--;
  for (let group = 0; group < count; group++) {
    starts[group] = starts[group + 1] as number;
    ends[group] = ends[group + 1] as number;
    totals[group] = totalOf(group + 1) - first;
    separators[group] = separators[group + 1] as number;
  }
  separators[0] = 0;
}

/** Whether the number that begins here is the first of three in a row: then it is no house's. */
export const isInRow = (start: number): boolean =>
  chainStart === start && count > 2 && separators[1] === SPACE && separators[2] === SPACE;

export function firstFour(): number {
  let value = 0;
  for (let group = 0, seen = 0; seen < 4 && group < count; group++) {
    for (let at = starts[group] as number; at < (ends[group] as number) && seen < 4; at++, seen++) {
      value = value * 10 + source.charCodeAt(at) - 48;
    }
  }
  return value;
}

/** Sizes of the groups up to `last`, a decimal digit each: 3-2-4 is 324. Groups of more than nine, and long chains: −1. */
export function shape(last: number): number {
  if (last > 4) return -1;
  let form = 0;
  for (let group = 0; group <= last; group++) {
    if (size(group) > 9) return -1;
    form = form * 10 + size(group);
  }
  return form;
}

/** The separator between all groups up to `last`, if it is one and the same; else 0. */
export function joint(last: number): number {
  const first = separators[1] as number;
  for (let group = 2; group <= last; group++) if (separators[group] !== first) return 0;
  return first;
}

/** Which group is the year, by the sizes: 4-2-2 begins with it, all others end with it. */
const DATE_FORMS: ReadonlySet<number> = new Set([114, 124, 214, 224, 112, 122, 212, 222, 422, 411, 412, 421]);

export const numberOf = (group: number): number => Number(source.slice(starts[group], ends[group]));

/** The first three groups are a date, day and month in either order. */
export function isDate(): boolean {
  if (count < 3) return false;
  const form = shape(2);
  const separator = joint(2);
  if (!DATE_FORMS.has(form) || (separator !== DASH && separator !== SLASH && separator !== POINT)) return false;
  const yearFirst = form >= 400;
  const one = numberOf(yearFirst ? 1 : 0);
  const two = numberOf(yearFirst ? 2 : 1);
  return one >= 1 && two >= 1 && Math.max(one, two) <= 31 && Math.min(one, two) <= 12;
}
