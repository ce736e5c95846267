import { createHash } from "node:crypto";
import { canonicalize, type Json } from "../../canonical.ts";
import { MANIFEST_PATH } from "../layout.ts";
import { type BundleScope, decodeManifest, type FileSum, manifestText, scopeOf } from "../manifest.ts";
import type { Findings } from "./findings.ts";
import { readJson } from "./json-file.ts";
import type { Keyring } from "./keyring.ts";

/** What the files were when they streamed by, and at the end what the signed manifest says that they are. */
export class ManifestCheck {
  readonly #findings: Findings;
  readonly #files = new Map<string, FileSum>();
  #sha256 = "";

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  /** A file whose sum the manifest must have. */
  saw(path: string, sum: FileSum): void {
    this.#files.set(path, sum);
  }

  /** @throws BundleError file_malformed */
  manifest(bytes: Buffer, scope: BundleScope): void {
    this.#sha256 = createHash("sha256").update(bytes).digest("hex");
    const manifest = readJson(decodeManifest, bytes);
    if (canonicalize(scopeOf(manifest) as unknown as Json) !== canonicalize(scope as unknown as Json)) {
      this.#differs("the manifest and scope.json differ in what this bundle is", MANIFEST_PATH);
    }
    for (const [path, { bytes: length, sha256 }] of this.#files) {
      const listed = Object.hasOwn(manifest.files, path) ? manifest.files[path] : undefined;
      if (listed === undefined) this.#differs("the manifest does not list it", path);
      else if (listed.sha256 !== sha256 || listed.bytes !== length)
        this.#differs("it is not what the manifest lists", path);
    }
    for (const path of Object.keys(manifest.files)) {
      if (!this.#files.has(path)) this.#findings.add("file_missing", "the manifest lists it", { file: path });
    }
  }

  /** manifest.note: its one signature is what all files but the notes hang on. @throws BundleError */
  note(bytes: Buffer, scope: BundleScope, keys: Keyring): void {
    if (keys.soleNote(bytes) !== manifestText(scope.origin, this.#sha256)) {
      this.#differs("its signature is for another manifest", MANIFEST_PATH);
    }
  }

  #differs(message: string, file: string): void {
    this.#findings.add("manifest_differs", message, { file });
  }
}
