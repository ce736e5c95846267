import { randomBytes } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { HoopishError } from "@hoopish/protocol";
import type { OpenSpool, Spool } from "../../evidence/spool.ts";

const READ_BYTES = 256 * 1024;

/** Spools as files of this folder: without a name as soon as they are open, where the system allows it (not on Windows). */
export const fileSpools =
  (folder: string): OpenSpool =>
  async () => {
    const path = join(folder, `.hoopish-spool-${randomBytes(12).toString("hex")}`);
    // 0600 and never a file that is there: what is spooled names people.
    const handle = await open(path, "wx+", 0o600).catch((cause: unknown) => {
      throw unwritable(cause);
    });
    const unlinked = await unlink(path).then(
      () => true,
      () => false,
    );
    return new FileSpool(handle, unlinked ? undefined : path);
  };

class FileSpool implements Spool {
  readonly #handle: FileHandle;
  readonly #path: string | undefined;
  #size = 0;

  constructor(handle: FileHandle, path: string | undefined) {
    this.#handle = handle;
    this.#path = path;
  }

  get size(): number {
    return this.#size;
  }

  async append(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await this.#handle.write(bytes, at, bytes.length - at, this.#size + at);
        at += bytesWritten;
      }
    } catch (cause) {
      throw unwritable(cause);
    }
    this.#size += bytes.length;
  }

  async *read(): AsyncGenerator<Buffer> {
    for (let at = 0; at < this.#size; ) {
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, this.#size - at));
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, at);
      // Somebody else made it shorter: what is missing must not be passed over.
      if (bytesRead === 0) throw new HoopishError("evidence_unavailable", "a temporary file lost its content");
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
    if (this.#path !== undefined) await unlink(this.#path).catch(() => undefined);
  }
}

const unwritable = (cause: unknown): HoopishError =>
  new HoopishError("evidence_unavailable", "there is no room for the export on the server", { cause });
