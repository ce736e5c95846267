import { gunzipSync, gzipSync } from "node:zlib";
import type { NoteSigner } from "@hoopish/protocol";
import { type Report, type VerifyOptions, verifyBundle } from "@hoopish/protocol/bundle";
import type { BundleSource } from "../port.ts";
import { writeBundle } from "../write-bundle.ts";
import { type ArchivedFile, collect, filesOf, gzipOf, mended, mtimeOf, sealed, tarOf } from "./archive.ts";
import { cut } from "./synthetic-log.ts";

export const verify = (bundle: Buffer, keys: readonly string[], more: Partial<VerifyOptions> = {}): Promise<Report> =>
  verifyBundle(cut(bundle, 10_007), { keys, ...more });

export const bundleOf = (source: BundleSource): Promise<Buffer> => collect(writeBundle(source));

export const codesOf = ({ findings }: Report): string[] => [...new Set(findings.map(({ code }) => code))].sort();

/** Takes a bundle apart, lets `change` at the files, and puts it together as any tar and gzip would. */
export function changed(
  bundle: Buffer,
  change: (files: ArchivedFile[]) => readonly ArchivedFile[],
  mend?: NoteSigner | "unsigned",
): Buffer {
  const files = change(filesOf(bundle));
  const whole = mend === undefined ? files : mended(files, mend === "unsigned" ? undefined : mend);
  return sealed(tarOf(whole, mtimeOf(bundle)));
}

export const edit =
  (
    path: string | RegExp,
    content: (old: Buffer) => Buffer | string,
  ): ((files: readonly ArchivedFile[]) => ArchivedFile[]) =>
  (files) =>
    files.map((file) =>
      (typeof path === "string" ? file.path === path : path.test(file.path))
        ? { ...file, content: Buffer.from(content(file.content)) }
        : file,
    );

/** Changes the lines of a file of records. */
export const editRecords = (
  change: (lines: string[]) => readonly string[],
  chunk = "000000",
): ((files: readonly ArchivedFile[]) => ArchivedFile[]) =>
  edit(`records/${chunk}.jsonl.gz`, (packed) => {
    const lines = gunzipSync(packed).toString().slice(0, -1).split("\n");
    return gzipOf(
      Buffer.from(
        change(lines)
          .map((line) => `${line}\n`)
          .join(""),
      ),
    );
  });

/** As another gzip packs it. */
export const otherGzip = (bundle: Buffer): Buffer => gzipSync(gunzipSync(bundle));
