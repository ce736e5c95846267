import { BundleError } from "../bundle-error.ts";
import { ByteReader } from "../byte-reader.ts";
import { gunzip } from "../gzip.ts";
import { type BundleFile, mayFollow, parseBundlePath } from "../layout.ts";
import type { Report } from "../report.ts";
import { type TarHeader, TarReader } from "../tar.ts";
import { BundleCheck } from "./bundle-check.ts";
import { FileContent } from "./file-content.ts";
import type { VerifyOptions } from "./options.ts";

/**
 * Checks an evidence bundle (docs/verifying.md) as it streams by, with memory that does not grow with it. Reads nothing
 * but `source` and `options`; the bundle may come from whoever wants to deceive the examiner.
 * @throws HoopishError usage for keys or a pin that cannot be used; what `source` throws
 */
export async function verifyBundle(source: AsyncIterable<Uint8Array>, options: VerifyOptions): Promise<Report> {
  const check = new BundleCheck(options);
  const bytes = new ByteReader(gunzip(source, { sealed: true }));
  const tar = new TarReader(bytes);
  let last: BundleFile | undefined;
  let place: string | undefined;
  try {
    for (let header = await tar.header(); header !== undefined; header = await tar.header()) {
      place = header.path;
      last = await readFile(check, tar, header, last);
    }
  } catch (error) {
    if (!(error instanceof BundleError)) throw error;
    return check.stopped(error, place);
  } finally {
    // Also where reading has ended early: the source is not left open.
    await bytes.close();
  }
  return check.ended();
}

async function readFile(
  check: BundleCheck,
  tar: TarReader,
  header: TarHeader,
  last: BundleFile | undefined,
): Promise<BundleFile> {
  const file = parseBundlePath(header.path);
  if (file === undefined) throw new BundleError("file_unexpected", "a bundle has no such file");
  if (!mayFollow(last, file.kind))
    throw new BundleError("file_unexpected", `it cannot stand behind the ${last ?? "beginning"}`);
  check.time(header.mtime);
  const content = new FileContent(tar, header);
  await check.file(file, content);
  check.read(file, header.path, await content.finish());
  return file.kind;
}
