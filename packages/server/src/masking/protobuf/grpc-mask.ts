import { decompress, encodeFrame, type GrpcFrame, GrpcFrameReader, GrpcProtocolError } from "../../protobuf/framing.ts";
import type { MessageType } from "../../protobuf/message-type.ts";
import { FoundValues, planWith } from "../analyzed.ts";
import type { Analyze } from "../analyzer.ts";
import type { OnUnseen } from "../choose-mask.ts";
import type { BodyMasker } from "../masker.ts";
import type { MaskPlan } from "../plan.ts";
import { Tally } from "../tally.ts";
import { uninspectable } from "./leaf-mask.ts";
import { maskMessage, textsOf } from "./mask-message.ts";

const NOTHING: Buffer = Buffer.alloc(0);
/** One question to an analyzer, in characters. */
const MAX_QUESTION = 20_000;

export interface GrpcMaskOptions {
  /** The stream's `grpc-encoding`; undefined: identity. */
  readonly encoding?: string;
  /** Of one message, as it comes and uncompressed. */
  readonly maxMessageBytes: number;
  /** What cannot be looked into passes all the same, and this hears why. */
  readonly unseen?: OnUnseen;
}

/** Cuts one direction of a call into messages, and puts together what became of them. */
class Frames {
  readonly #reader: GrpcFrameReader;
  readonly #encoding: string;
  readonly #max: number;

  constructor({ encoding = "identity", maxMessageBytes }: GrpcMaskOptions) {
    this.#reader = new GrpcFrameReader({ maxMessageBytes });
    this.#encoding = encoding;
    this.#max = maxMessageBytes;
  }

  /** @throws HoopishError response_uninspectable */
  push(bytes: Buffer): readonly GrpcFrame[] {
    return refusing(() => this.#reader.push(bytes));
  }

  end(): void {
    refusing(() => this.#reader.end());
  }

  message(frame: GrpcFrame): Buffer {
    return refusing(() => decompress(frame, this.#encoding, this.#max));
  }
}

function refusing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof GrpcProtocolError ? uninspectable(error.message, error) : error;
  }
}

/** What stays as it came goes on as it came; what does not goes on uncompressed, which any stream may hold. */
const framed = (frame: GrpcFrame, message: Buffer, masked: Buffer): Buffer =>
  masked === message ? frame.raw : encodeFrame(masked);

const joined = (parts: readonly Buffer[]): Buffer =>
  parts.length === 0 ? NOTHING : parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);

/**
 * Masks the messages of one direction of a gRPC call, each when all of it is there. A value that is cut between two messages of a
 * stream is not seen as one.
 */
export class GrpcMask implements BodyMasker {
  readonly tally: Tally;
  readonly #plan: MaskPlan;
  readonly #type: MessageType;
  readonly #frames: Frames;
  readonly #unseen: OnUnseen | undefined;

  /** @throws HoopishError response_uninspectable for a plan that asks an analyzer: see createGrpcMasker */
  constructor(plan: MaskPlan, type: MessageType, options: GrpcMaskOptions) {
    if (plan.analyze !== undefined) throw uninspectable("its texts go to an analyzer, which is not asked here");
    this.tally = new Tally(plan);
    this.#plan = plan;
    this.#type = type;
    this.#frames = new Frames(options);
    this.#unseen = options.unseen;
  }

  /** @throws HoopishError response_uninspectable, policy_blocked */
  push(bytes: Buffer): Buffer {
    const out: Buffer[] = [];
    let even = true;
    let length = 0;
    for (const frame of this.#frames.push(bytes)) {
      const message = this.#frames.message(frame);
      const masked = maskMessage(
        this.#type,
        message,
        this.#plan,
        this.tally,
        this.#unseen === undefined ? {} : { unseen: this.#unseen },
      );
      const made = framed(frame, message, masked);
      even &&= made === frame.raw && made.buffer === bytes.buffer;
      length += made.length;
      out.push(made);
    }
    return even && length === bytes.length ? bytes : joined(out);
  }

  end(): Buffer {
    this.#frames.end();
    return NOTHING;
  }
}

/** As GrpcMask; where the plan asks an analyzer, after it was asked. */
export function createGrpcMasker(plan: MaskPlan, type: MessageType, options: GrpcMaskOptions): BodyMasker {
  return plan.analyze === undefined
    ? new GrpcMask(plan, type, options)
    : new AnalyzedGrpcMask(plan, type, plan.analyze, options);
}

/** Masks messages whose texts an analyzer has seen before. */
class AnalyzedGrpcMask implements BodyMasker {
  readonly tally: Tally;
  readonly #plan: MaskPlan;
  readonly #type: MessageType;
  readonly #analyze: Analyze;
  readonly #frames: Frames;

  constructor(plan: MaskPlan, type: MessageType, analyze: Analyze, options: GrpcMaskOptions) {
    this.tally = new Tally(plan);
    this.#plan = plan;
    this.#type = type;
    this.#analyze = analyze;
    this.#frames = new Frames(options);
  }

  async push(bytes: Buffer): Promise<Buffer> {
    const out: Buffer[] = [];
    for (const frame of this.#frames.push(bytes)) {
      const message = this.#frames.message(frame);
      const values = new FoundValues(this.#plan.own);
      const text = textsOf(this.#type, message, this.#plan)
        .filter((one) => /\p{L}{2}/u.test(one))
        .join("\n");
      for (let at = 0; at < text.length; at += MAX_QUESTION) {
        const part = text.slice(at, at + MAX_QUESTION);
        for (const { type, start, end } of await this.#analyze(part)) values.add(type, part.slice(start, end));
      }
      const masked = maskMessage(this.#type, message, planWith(this.#plan, values), this.tally);
      out.push(framed(frame, message, masked));
    }
    return joined(out);
  }

  end(): Buffer {
    this.#frames.end();
    return NOTHING;
  }
}
