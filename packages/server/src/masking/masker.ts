import { HoopishError } from "@hoopish/protocol";
import { AnalyzedText, FoundValues, planWith } from "./analyzed.ts";
import type { Analyze } from "./analyzer.ts";
import type { StringMask } from "./body-mask.ts";
import { chooseMask, type OnUnseen } from "./choose-mask.ts";
import { LINE_TYPES, mediaProblem, parseMediaType } from "./media-type.ts";
import type { MaskPlan } from "./plan.ts";
import { Tally } from "./tally.ts";

const NOTHING: Buffer = Buffer.alloc(0);

/** Masks the bytes of one body, in the order in which they come. */
export class Masker implements BodyMasker {
  readonly tally: Tally;
  readonly #mask: StringMask;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** Everything that came was given out as it was. */
  #even = true;

  /** @param contentType as the message has it; undefined: it has none. Ask `inspectionProblem` first. */
  constructor(plan: MaskPlan, contentType: string | undefined, unseen?: OnUnseen) {
    this.tally = new Tally(plan);
    this.#mask = chooseMask(parseMediaType(contentType ?? ""), plan, this.tally, unseen);
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
    return decoded(this.#decoder, bytes, stream);
  }
}

/** What a body is masked by: at once, or after an analyzer was asked. */
export interface BodyMasker {
  readonly tally: Tally;
  push(bytes: Buffer): Buffer | Promise<Buffer>;
  end(): Buffer | Promise<Buffer>;
}

/** @param unseen what cannot be looked into passes all the same, and this hears why */
export function createMasker(plan: MaskPlan, contentType: string | undefined, unseen?: OnUnseen): BodyMasker {
  return plan.analyze === undefined
    ? new Masker(plan, contentType, unseen)
    : new AnalyzedMasker(plan, contentType, plan.analyze);
}

/** Masks what an analyzer has seen before. */
class AnalyzedMasker implements BodyMasker {
  readonly #masker: Masker;
  readonly #text: AnalyzedText;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  constructor(plan: MaskPlan, contentType: string | undefined, analyze: Analyze) {
    const values = new FoundValues(plan.own);
    this.#masker = new Masker(planWith(plan, values), contentType);
    const { type } = parseMediaType(contentType ?? "");
    this.#text = new AnalyzedText(analyze, values, type === "text/event-stream" || LINE_TYPES.test(type));
  }

  get tally(): Tally {
    return this.#masker.tally;
  }

  async push(bytes: Buffer): Promise<Buffer> {
    const ready = await this.#text.push(decoded(this.#decoder, bytes, true));
    return ready === "" ? NOTHING : this.#masker.push(Buffer.from(ready));
  }

  async end(): Promise<Buffer> {
    await this.#text.push(decoded(this.#decoder, NOTHING, false));
    const first = this.#masker.push(Buffer.from(await this.#text.end()));
    return Buffer.concat([first, this.#masker.end()]);
  }
}

function decoded(decoder: InstanceType<typeof TextDecoder>, bytes: Buffer, stream: boolean): string {
  try {
    return decoder.decode(bytes, { stream });
  } catch (cause) {
    throw new HoopishError("response_uninspectable", "it cannot be looked into: it is not UTF-8", { cause });
  }
}

/** Why a body of this type cannot be looked into; undefined: it can, as far as its type says. */
export const inspectionProblem = (contentType: string | undefined): string | undefined =>
  mediaProblem(parseMediaType(contentType ?? ""));

export interface MaskedBytes {
  readonly bytes: Buffer;
  readonly tally: Tally;
}

/** A whole body, after whoever must be asked was asked. @throws HoopishError as Masker */
export async function maskAnalyzed(
  bytes: Buffer,
  contentType: string | undefined,
  plan: MaskPlan,
): Promise<MaskedBytes> {
  const masker = createMasker(plan, contentType);
  const first = await masker.push(bytes);
  return { bytes: Buffer.concat([first, await masker.end()]), tally: masker.tally };
}

/** A whole body, by the built-in detectors alone. @throws HoopishError as Masker */
export function maskWhole(bytes: Buffer, contentType: string | undefined, plan: MaskPlan): MaskedBytes {
  const masker = new Masker(plan, contentType);
  const first = masker.push(bytes);
  const rest = masker.end();
  return { bytes: rest.length === 0 ? first : Buffer.concat([first, rest]), tally: masker.tally };
}
