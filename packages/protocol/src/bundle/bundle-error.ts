import type { FindingCode } from "./report.ts";

/** What makes it impossible to read on: the verifier turns it into a finding. `message` repeats nothing of the bundle. */
export class BundleError extends Error {
  override readonly name = "BundleError";
  readonly code: FindingCode;

  constructor(code: FindingCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
  }
}
