import { HoopishError } from "@hoopish/protocol";
import type { StringMask } from "./body-mask.ts";
import { chooseMask } from "./choose-mask.ts";
import { mediaProblem, parseMediaType } from "./media-type.ts";
import type { MaskPlan } from "./plan.ts";
import { Tally } from "./tally.ts";

const NOTHING: Buffer = Buffer.alloc(0);

/** Masks the bytes of one body, in the order in which they come. */
export class Masker {
  readonly tally: Tally;
  readonly #mask: StringMask;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** Everything that came was given out as it was. */
  #even = true;

  /** @param contentType as the message has it; undefined: it has none. Ask `inspectionProblem` first. */
  constructor(plan: MaskPlan, contentType: string | undefined) {
    this.tally = new Tally(plan);
    this.#mask = chooseMask(parseMediaType(contentType ?? ""), plan, this.tally);
  }

  /** @throws HoopishError response_uninspectable, policy_blocked */
  push(bytes: Buffer): Buffer {
    const text = this.#decode(bytes, true);
    const masked = this.#mask.push(text);
    // Nothing was held before, and nothing is now: the bytes need not be written again.
    if (this.#even && masked === text && text.length > 0 && Buffer.byteLength(text) === bytes.length) return bytes;
    this.#even = false;
    return masked === "" ? NOTHING : Buffer.from(masked);
  }

  end(): Buffer {
    const rest = this.#decode(NOTHING, false);
    return Buffer.from(this.#mask.push(rest) + this.#mask.end());
  }

  #decode(bytes: Buffer, stream: boolean): string {
    try {
      return this.#decoder.decode(bytes, { stream });
    } catch (cause) {
      throw new HoopishError("response_uninspectable", "it cannot be looked into: it is not UTF-8", { cause });
    }
  }
}

/** Why a body of this type cannot be looked into; undefined: it can, as far as its type says. */
export const inspectionProblem = (contentType: string | undefined): string | undefined =>
  mediaProblem(parseMediaType(contentType ?? ""));

/** A whole body. @throws HoopishError as Masker */
export function maskWhole(
  bytes: Buffer,
  contentType: string | undefined,
  plan: MaskPlan,
): { bytes: Buffer; tally: Tally } {
  const masker = new Masker(plan, contentType);
  const first = masker.push(bytes);
  const rest = masker.end();
  return { bytes: rest.length === 0 ? first : Buffer.concat([first, rest]), tally: masker.tally };
}
