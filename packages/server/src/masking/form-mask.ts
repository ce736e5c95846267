import type { MaskPlan } from "./plan.ts";
import type { Tally } from "./tally.ts";
import { TextMask } from "./text-mask.ts";

/** `application/x-www-form-urlencoded`, whole: each value is a text, and what was not changed stays as it was written. */
export function maskForm(body: string, plan: MaskPlan, tally: Tally): string {
  return body
    .split("&")
    .map((pair) => {
      const at = pair.indexOf("=");
      const name = decoded(at < 0 ? "" : pair.slice(0, at));
      const raw = at < 0 ? pair : pair.slice(at + 1);
      const value = decoded(raw);
      const masked = new TextMask(plan, tally, false, `${name}=`).push(value, true);
      if (masked === value) return pair;
      return (at < 0 ? "" : pair.slice(0, at + 1)) + encodeURIComponent(masked).replaceAll("%20", "+");
    })
    .join("&");
}

function decoded(text: string): string {
  const plain = text.replaceAll("+", " ");
  try {
    return decodeURIComponent(plain);
  } catch {
    // What a server makes of it is not known: it is looked at as it stands.
    return plain;
  }
}
