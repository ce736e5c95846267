import type { MessageType } from "../../protobuf/message-type.ts";
import { ProtobufError } from "../../protobuf/wire.ts";
import type { OnUnseen } from "../choose-mask.ts";
import type { MaskPlan } from "../plan.ts";
import { Tally } from "../tally.ts";
import { LeafMask, uninspectable } from "./leaf-mask.ts";
import { MessageMask } from "./message-mask.ts";

export interface MessageMaskOptions {
  /** What cannot be looked into passes all the same, and this hears why. */
  readonly unseen?: OnUnseen;
}

/**
 * Masks one message by its type. Strings are masked as JSON's are, with the field's name as the member's (of an entry of a map:
 * its key); texts that are JSON as JSON. Numbers where a rule names them, or where they are a card's or their name says what they
 * are: they become 0, because nothing else fits into their field; the field stays, so that of a oneof the same one is set. All
 * else is given out byte by byte as it came, without a copy when nothing changes.
 *
 * Field rules name `$.field.list[0].map_field.key`; tensors of the Open Inference Protocol also `$.TENSOR[0]`, or as over HTTP
 * `$.outputs[0].data[0]`.
 * @throws HoopishError response_uninspectable, policy_blocked
 */
export function maskMessage(
  type: MessageType,
  bytes: Buffer,
  plan: MaskPlan,
  tally: Tally,
  options: MessageMaskOptions = {},
): Buffer {
  const { unseen } = options;
  const counted = unseen === undefined ? tally : new Tally(plan);
  try {
    const masked = new MessageMask(bytes, new LeafMask(plan, counted), unseen).run(type);
    if (counted !== tally) tally.add(counted);
    return masked;
  } catch (error) {
    const known = error instanceof ProtobufError ? uninspectable(error.message, error) : (error as Error);
    if (unseen === undefined || (known as { code?: string }).code !== "response_uninspectable") throw known;
    unseen(known.message);
    return bytes;
  }
}

/** Every text of a message, for an analyzer. @throws HoopishError response_uninspectable */
export function textsOf(type: MessageType, bytes: Buffer, plan: MaskPlan): readonly string[] {
  const texts: string[] = [];
  try {
    new MessageMask(bytes, new LeafMask(plan, new Tally(plan), texts), undefined).run(type);
  } catch (error) {
    throw error instanceof ProtobufError ? uninspectable(error.message, error) : error;
  }
  return texts;
}
