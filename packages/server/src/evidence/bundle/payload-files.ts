import { payloadPath, saltPath, sumLine } from "@hoopish/protocol/bundle";
import { type ArchiveFiles, sumOf } from "./archive-files.ts";
import type { Part } from "./packing.ts";
import type { BundleSource, StoredPayload } from "./port.ts";
import type { WantedPayloads } from "./record-chunk.ts";

/** Up to here a payload is put together with its neighbours: to hand on each for itself costs more than to pack it. */
const SMALL_BYTES = 64 * 1024;

/**
 * Writes what the vault has of the payloads that a chunk's records commit to.
 * @returns the lines of the chunk's payloads/NNNNNN.sha256
 */
export async function* payloadFiles(
  source: BundleSource,
  files: ArchiveFiles,
  wanted: readonly WantedPayloads[],
): AsyncGenerator<Part, readonly string[]> {
  const lines: string[] = [];
  let waiting: Uint8Array[] = [];
  let size = 0;
  const put = (path: string, bytes: Uint8Array): void => {
    const file = files.unlisted(path, bytes).bytes;
    waiting.push(file);
    size += file.byteLength;
    lines.push(sumLine(sumOf(bytes).sha256, path));
  };
  const taken = (): Part => {
    const bytes = Buffer.concat(waiting);
    waiting = [];
    size = 0;
    return { bytes, packed: false };
  };
  let next = 0;
  for await (const found of source.payloads(wanted)) {
    const payloads = wanted[next++];
    if (payloads === undefined) break;
    for (const payload of ofKind(found, payloads)) {
      const path = payloadPath(payloads.call, payload.field);
      // In front, so that a verifier can commit to the payload as it streams by.
      if (payload.salt !== undefined) put(saltPath(payloads.call, payload.field), saltFile(payload.salt));
      if (payload.length <= SMALL_BYTES) {
        put(path, await whole(payload, path));
      } else {
        yield taken();
        lines.push(sumLine(yield* files.flowing(path, payload.length, payload.chunks()), path));
      }
      if (size > SMALL_BYTES) yield taken();
    }
  }
  if (next !== wanted.length) throw new Error("the vault did not answer for every call");
  yield taken();
  return lines;
}

/** In the order of their names, whatever the vault's is. What a crash cut has no salt, and what was committed to has one. */
function ofKind(found: readonly StoredPayload[], { kind }: WantedPayloads): readonly StoredPayload[] {
  return found
    .filter(({ salt }) => (salt === undefined) === (kind === "interrupted"))
    .toSorted((left, right) => (left.field < right.field ? -1 : 1));
}

async function whole({ length, chunks }: StoredPayload, path: string): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let written = 0;
  for await (const part of chunks()) {
    written += part.byteLength;
    if (written > length) break;
    parts.push(part);
  }
  if (written !== length) throw new Error(`${path} has not the ${length} bytes that were announced`);
  return Buffer.concat(parts);
}

const saltFile = (salt: Uint8Array): Buffer => Buffer.from(`${Buffer.from(salt).toString("base64")}\n`);
