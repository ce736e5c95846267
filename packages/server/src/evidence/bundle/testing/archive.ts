import { createHash } from "node:crypto";
import { crc32, deflateRawSync, gunzipSync } from "node:zlib";
import { type NoteSigner, signNote } from "@hoopish/protocol";
import {
  type BundleManifest,
  decodeManifest,
  encodeManifest,
  encodeTarHeader,
  GZIP_HEADER,
  gzipSeal,
  gzipTrailer,
  manifestText,
  parseBundlePath,
  TAR_END,
} from "@hoopish/protocol/bundle";
import { sumOf } from "../archive-files.ts";

/** What somebody with an editor can do to a bundle. Written apart from the writer and the reader. */

export interface ArchivedFile {
  readonly path: string;
  readonly content: Buffer;
}

export async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts);
}

export function filesOf(bundle: Buffer): ArchivedFile[] {
  const tar = gunzipSync(bundle);
  const files: ArchivedFile[] = [];
  for (let at = 0; tar[at] !== 0; ) {
    const path = tar.toString("latin1", at, tar.indexOf(0, at));
    const size = Number.parseInt(tar.toString("latin1", at + 124, at + 135), 8);
    files.push({ path, content: Buffer.from(tar.subarray(at + 512, at + 512 + size)) });
    at += 512 + 512 * Math.ceil(size / 512);
  }
  return files;
}

export const mtimeOf = (bundle: Buffer): number => Number.parseInt(gunzipSync(bundle).toString("latin1", 136, 147), 8);

export function tarOf(files: readonly ArchivedFile[], mtime: number): Buffer {
  const blocks = files.flatMap(({ path, content }) => [
    encodeTarHeader({ path, size: content.length, mtime }),
    content,
    Buffer.alloc((512 - (content.length % 512)) % 512),
  ]);
  return Buffer.concat([...blocks, TAR_END]);
}

export function gzipOf(content: Buffer): Buffer {
  return Buffer.concat([GZIP_HEADER, deflateRawSync(content), gzipTrailer(crc32(content), content.length)]);
}

/** gzip and seal as everybody can make them. */
export function sealed(tar: Buffer): Buffer {
  const member = gzipOf(tar);
  return Buffer.concat([member, gzipSeal(createHash("sha256").update(member).digest())]);
}

/** Sums and manifest made to fit the files again; signed again if there is a key. */
export function mended(files: readonly ArchivedFile[], signer?: NoteSigner): ArchivedFile[] {
  const listed = files.map((file) =>
    /^payloads\/\d/.test(file.path) ? { ...file, content: sumsFor(file, files) } : file,
  );
  const claims: Record<string, ReturnType<typeof sumOf>> = {};
  for (const { path, content } of listed) {
    const kind = parseBundlePath(path)?.kind;
    if (kind !== "payload" && kind !== "salt" && kind !== "manifest" && kind !== "manifest-note")
      claims[path] = sumOf(content);
  }
  const old = listed.find(({ path }) => path === "manifest.json") as ArchivedFile;
  const scope = JSON.parse(
    (listed.find(({ path }) => path === "scope.json") as ArchivedFile).content.toString(),
  ) as object;
  const manifest: BundleManifest = { ...decodeManifest(old.content), ...scope, files: claims };
  const json = Buffer.from(encodeManifest(manifest));
  return listed.map((file) => {
    if (file.path === "manifest.json") return { ...file, content: json };
    if (file.path !== "manifest.note" || signer === undefined) return file;
    const text = manifestText(manifest.origin, sumOf(json).sha256);
    return { ...file, content: Buffer.from(signNote(text, [signer])) };
  });
}

function sumsFor(list: ArchivedFile, files: readonly ArchivedFile[]): Buffer {
  const end = files.indexOf(list);
  const begin = files.findLastIndex(({ path }, i) => i < end && path.startsWith("records/"));
  const lines = files.slice(begin + 1, end).map(({ path, content }) => `${sumOf(content).sha256}  ${path}\n`);
  return Buffer.from(lines.join(""));
}
