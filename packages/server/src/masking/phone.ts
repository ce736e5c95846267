import { type Answer, type Found, HOLD, NONE, type View } from "./candidate.ts";
import {
  CLOSING,
  count,
  DASH,
  endOf,
  isDate,
  joint,
  LOOSE,
  POINT,
  STRANGE,
  separators,
  shape,
  size,
  totalOf,
  UNDER,
} from "./digit-chain.ts";
import { endsThere, lookback, take } from "./number-view.ts";

/** So many characters behind a number may have to be seen: `-Office`, ` x62406`. */
const PHONE_TAIL = 14;
const EXTENSION = /^ ?(?:x|ext\.?|extension) ?\d{1,6}(?![\dA-Za-z])/i;
const AFTER = /^[\s,\-:(]{0,3}\(?(?:office|mobile|fax|home|cell|phone|tel)(?![a-z])/i;

export function phoneNumber(view: View, start: number, opening: number, found: Found): Answer {
  const last = lastPhoneGroup();
  if (last < 0) return NONE;
  const { text, high, final } = view;
  const end = endOf(last);
  if (end <= found.end) return NONE;
  const total = totalOf(last);
  const bracket = opening < start && text.charCodeAt(start - 1) === 0x28 && separators[1] === CLOSING && last > 0;
  const plus = text.charCodeAt(opening) === 0x2b;
  // `02.27.96.63.08` is no date that goes on.
  const date = isDate() && (count === 3 || separators[3] !== separators[1]);
  if (date || isDotted(last)) return NONE;
  const sure =
    (plus && total >= 8) ||
    (bracket && total >= 7) ||
    (isUsForm(last) && lookback.is !== "other" && lookback.is !== "account");
  const could = last > 0 || total >= 7;
  if (!sure && !could) return NONE;
  if (!final && high - end < PHONE_TAIL) return HOLD;
  const follows = mayFollow(text, end, high);
  if (!sure && !follows && lookback.is !== "phone") return NONE;
  const tail = follows ? text.slice(end, Math.min(high, end + PHONE_TAIL)) : "";
  const extension = follows ? (EXTENSION.exec(tail)?.[0].length ?? 0) : 0;
  if (extension === 0 && !endsThere(view, end)) return NONE;
  if (
    !sure &&
    extension === 0 &&
    !(could && (lookback.is === "phone" || (mayFollow(text, end, high) && AFTER.test(tail))))
  )
    return NONE;
  take(found, "PHONE", opening, end + extension);
  return NONE;
}

/** Quickly: whether a word of those that follow telephone numbers may begin here. */
function mayFollow(text: string, end: number, high: number): boolean {
  for (let at = end; at < high && at < end + 5; at++) {
    const code = text.charCodeAt(at) | 0x20;
    if (code >= 0x61 && code <= 0x7a) {
      return (
        code === 0x78 ||
        code === 0x65 ||
        code === 0x6f ||
        code === 0x6d ||
        code === 0x66 ||
        code === 0x68 ||
        code === 0x63 ||
        code === 0x70 ||
        code === 0x74
      );
    }
  }
  return false;
}

/** Four short groups with points are an address or a version. */
function isDotted(last: number): boolean {
  if (last !== 3 || joint(3) !== POINT || totalOf(3) > 12) return false;
  for (let group = 0; group <= 3; group++) if (size(group) > 3) return false;
  return true;
}

/** The last group with which there are at most fifteen digits (E.164), and nothing but one separator or a bracket between. */
function lastPhoneGroup(): number {
  let last = -1;
  for (let group = 0; group < count; group++) {
    const separator = separators[group] as number;
    if (group > 0 && (separator === UNDER || separator === LOOSE || separator === STRANGE)) break;
    if (totalOf(group) > 15) break;
    last = group;
  }
  while (last > 0 && size(last) < 2) last--;
  return last >= 0 && totalOf(last) >= 6 ? last : -1;
}

/** `212-555-0147`, `1-212-555-0147`, `001 212.555.0147`: of North America, and many write theirs so. */
function isUsForm(last: number): boolean {
  const separator = separators[last];
  if (separator !== DASH && separator !== POINT) return false;
  const form = shape(last);
  return form === 334 || form === 1334 || form === 3334;
}
