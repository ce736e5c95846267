export * from "./gzip.ts";
export * from "./layout.ts";
export * from "./manifest.ts";
export * from "./report.ts";
export * from "./tar.ts";
export { type CallOwner, type Disclosure, DisclosureRule } from "./verify/disclosure.ts";
export type { VerifyOptions } from "./verify/options.ts";
export { verifyBundle } from "./verify/verify-bundle.ts";
