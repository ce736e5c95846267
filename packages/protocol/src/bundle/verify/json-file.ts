import { BundleError } from "../bundle-error.ts";

/** Reads a file with a decoder of manifest.ts. @throws BundleError file_malformed */
export function readJson<T>(decode: (bytes: Buffer) => T, bytes: Buffer): T {
  try {
    return decode(bytes);
  } catch (cause) {
    throw new BundleError("file_malformed", "it is not written as this file is", { cause });
  }
}
