import type { AnalyzerConfig } from "./analyzer.ts";
import type { FieldPath } from "./field-path.ts";
import type { OwnPattern } from "./own-patterns.ts";
import type { Action } from "./plan.ts";
import type { PiiType } from "./types.ts";

/** A rule of the configuration: what of what passes is masked, and how. */
export interface MaskingRule {
  readonly name: string;
  /** Connection names, or `*`. */
  readonly connections: readonly string[];
  /** `request`: before the model sees it; `response`: before the client does, and before it is recorded as delivered. */
  readonly direction: "request" | "response";
  readonly detect: readonly PiiType[];
  readonly fields: readonly FieldPath[];
  readonly patterns: readonly OwnPattern[];
  readonly analyzer?: AnalyzerConfig;
  readonly action: Action;
}
