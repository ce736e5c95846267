import { algorithmOf } from "./algorithms.ts";
import {
  booleanOf,
  type Element,
  generalizedTimeOf,
  inside,
  integerOf,
  malformed,
  oidOf,
  readOnly,
  smallIntegerOf,
  Tag,
} from "./der.ts";

/** TSTInfo of RFC 3161 §2.4.2: what the authority says. */
export interface TstInfo {
  readonly policy: string;
  readonly imprint: { readonly algorithm: string; readonly hash: Buffer };
  /** Hexadecimal. */
  readonly serial: string;
  /** Unix milliseconds. */
  readonly genTimeMs: number;
  /** How far genTime may be off, where the authority says it. */
  readonly accuracyMs: number | undefined;
  /** Content of the INTEGER. */
  readonly nonce: Buffer | undefined;
}

/** @throws TimestampError malformed */
export function readTstInfo(der: Buffer): TstInfo {
  const parts = inside(readOnly(der, Tag.sequence));
  if (smallIntegerOf(parts.take(Tag.integer)) !== 1) throw malformed("its version is not 1");
  const policy = oidOf(parts.take(Tag.oid));
  const messageImprint = inside(parts.take(Tag.sequence));
  const imprint = {
    algorithm: algorithmOf(messageImprint.take(Tag.sequence)),
    hash: messageImprint.take(Tag.octetString).content,
  };
  messageImprint.end();
  const serial = integerOf(parts.take(Tag.integer)).toString("hex");
  const genTimeMs = generalizedTimeOf(parts.take(Tag.generalizedTime));
  const accuracyMs = readAccuracy(parts.takeIf(Tag.sequence));
  const ordering = parts.takeIf(Tag.boolean);
  if (ordering !== undefined) booleanOf(ordering);
  const nonce = parts.takeIf(Tag.integer);
  // The authority's name and extensions: which certificate signed is known by its hash (signed-data.ts), not by a name.
  parts.takeIf(Tag.context(0));
  parts.takeIf(Tag.context(1));
  parts.end();
  return { policy, imprint, serial, genTimeMs, accuracyMs, nonce: nonce && integerOf(nonce) };
}

function readAccuracy(element: Element | undefined): number | undefined {
  if (element === undefined) return undefined;
  const parts = inside(element);
  const seconds = parts.takeIf(Tag.integer);
  const millis = parts.takeIf(Tag.implicit(0));
  const micros = parts.takeIf(Tag.implicit(1));
  parts.end();
  const of = (part: Element | undefined): number => (part === undefined ? 0 : smallIntegerOf(part));
  return of(seconds) * 1_000 + of(millis) + of(micros) / 1_000;
}
