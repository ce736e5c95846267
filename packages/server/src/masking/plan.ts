import type { Analyze } from "./analyzer.ts";
import type { FieldPath } from "./field-path.ts";
import type { OwnPatterns } from "./scanner.ts";
import { Scanner } from "./scanner.ts";
import type { PiiType } from "./types.ts";

/** What becomes of a value that was found. */
export type Action =
  | { readonly kind: "redact" }
  /** All but the last letters and digits become "*". */
  | { readonly kind: "mask"; readonly keepLast: number }
  /** The same value becomes the same token within a connection. */
  | { readonly kind: "pseudonym" }
  /** The call is refused. */
  | { readonly kind: "block" };

export interface FieldRule {
  readonly path: FieldPath;
  readonly action: Action;
}

/** What is looked for in one direction of one connection, and what is done about it. Made once, used for every call. */
export interface MaskPlan {
  readonly scanner: Scanner;
  readonly wanted: ReadonlySet<PiiType>;
  /** By type, the operator's own ones too. */
  readonly actions: ReadonlyMap<string, Action>;
  readonly fields: readonly FieldRule[];
  readonly own: OwnPatterns | undefined;
  /** What has to be asked before anything of a text goes on. */
  readonly analyze: Analyze | undefined;
  /** Keys pseudonyms and digests; a secret of this server. @returns bytes for a normalised value */
  readonly mac: (value: string) => Buffer;
}

/** A rule as the configuration has it, for one connection and direction. */
export interface MaskingPart {
  readonly detect: readonly PiiType[];
  readonly fields: readonly FieldPath[];
  readonly action: Action;
}

const STRENGTH = ["mask", "pseudonym", "redact", "block"] as const;
const stronger = (one: Action, two: Action): Action =>
  STRENGTH.indexOf(two.kind) > STRENGTH.indexOf(one.kind) ||
  (one.kind === "mask" && two.kind === "mask" && two.keepLast < one.keepLast)
    ? two
    : one;

/** Where several rules speak of one type the stronger action counts: block, redact, pseudonym, mask. */
export function buildPlan(
  parts: readonly MaskingPart[],
  own: { readonly patterns: OwnPatterns; readonly actions: ReadonlyMap<string, Action> } | undefined,
  mac: MaskPlan["mac"],
  analyze?: Analyze,
  entities: ReadonlyMap<string, Action> = new Map(),
): MaskPlan {
  const actions = new Map<string, Action>([...entities, ...(own?.actions ?? [])]);
  const wanted = new Set<PiiType>();
  const fields: FieldRule[] = [];
  for (const { detect, fields: paths, action } of parts) {
    for (const type of detect) {
      wanted.add(type);
      const known = actions.get(type);
      actions.set(type, known === undefined ? action : stronger(known, action));
    }
    for (const path of paths) fields.push({ path, action });
  }
  return { scanner: new Scanner(wanted), wanted, actions, fields, own: own?.patterns, analyze, mac };
}
