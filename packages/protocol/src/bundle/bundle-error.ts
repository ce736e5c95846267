import type { FindingCode } from "./report.ts";

export interface BundleErrorOptions {
  readonly cause?: unknown;
  /** It makes no sense to read on, or it would cost what no honest bundle costs. */
  readonly fatal?: boolean;
}

/** What makes it impossible to judge a file, or to read on. `message` repeats nothing of the bundle. */
export class BundleError extends Error {
  override readonly name = "BundleError";
  readonly code: FindingCode;
  readonly fatal: boolean;

  constructor(code: FindingCode, message: string, options: BundleErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fatal = options.fatal ?? false;
  }
}
