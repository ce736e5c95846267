import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { HoopishError } from "@hoopish/protocol";

/** Absent on Windows. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

/**
 * A file on its way: it grows under the name FILE.part and gets its own only when all of it is there, so that a file that
 * looks complete is complete. 0600: it holds people's names, and bodies if asked for.
 */
export class PartFile {
  readonly path: string;
  readonly #handle: FileHandle;
  #bytes: number;

  /** @throws HoopishError conflict when one is there: two exports into one part would be half of each other */
  static async create(path: string): Promise<PartFile> {
    const part = partOf(path);
    try {
      return new PartFile(path, await open(part, "wx+", 0o600), 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw notWritable(path, error);
      throw new HoopishError("conflict", `${part} is there: another export runs, or one was cut off`, {
        hint: `go on with it by --resume; if it is nothing that you need, rm ${part}, or --force`,
      });
    }
  }

  /**
   * Goes on with one that was cut off.
   * @throws HoopishError conflict when there is none, or others could have written in it
   */
  static async reopen(path: string, uid: number | undefined): Promise<PartFile> {
    const part = partOf(path);
    let handle: FileHandle;
    try {
      handle = await open(part, constants.O_RDWR | constants.O_APPEND | NO_FOLLOW);
    } catch (cause) {
      throw new HoopishError("conflict", `there is no ${part} to go on with`, { hint: "export anew", cause });
    }
    // Asked of the open file, not of the path: what was checked is what is used.
    const { mode, uid: owner, nlink, size } = await handle.stat();
    const plain = (mode & constants.S_IFMT) === constants.S_IFREG && nlink === 1;
    const ours = uid === undefined || (owner === uid && (mode & 0o022) === 0);
    if (plain && ours) return new PartFile(path, handle, size);
    await handle.close();
    throw new HoopishError("conflict", `${part} is not a file that only you can write`, {
      hint: `rm ${part}, and export anew`,
    });
  }

  private constructor(path: string, handle: FileHandle, bytes: number) {
    this.path = path;
    this.#handle = handle;
    this.#bytes = bytes;
  }

  /** Bytes that it has. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws HoopishError conflict: the disk does not take it */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.byteLength; ) {
        const { bytesWritten } = await this.#handle.write(bytes, at, bytes.byteLength - at);
        at += bytesWritten;
        this.#bytes += bytesWritten;
      }
    } catch (error) {
      throw notWritable(this.path, error);
    }
  }

  /** What it has, from the beginning. */
  async *read(): AsyncGenerator<Uint8Array> {
    const buffer = Buffer.alloc(256 * 1024);
    for (let at = 0; ; ) {
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  }

  /** It is whole: durable, and under its own name, when this resolves. */
  async finish(): Promise<void> {
    try {
      await this.#handle.sync();
      await this.#handle.close();
      await rename(partOf(this.path), this.path);
      await syncFolder(dirname(this.path));
    } catch (error) {
      throw notWritable(this.path, error);
    }
  }

  /** Leaves it as it is, to go on with later. */
  async keep(): Promise<void> {
    await this.#handle.close().catch(() => {});
  }

  async discard(): Promise<void> {
    await this.keep();
    await rm(partOf(this.path), { force: true });
  }
}

export const partOf = (path: string): string => `${path}.part`;

/** @throws HoopishError conflict, with what the file system said */
export function notWritable(path: string, cause: unknown): HoopishError {
  return new HoopishError("conflict", `${path} cannot be written: ${(cause as Error).message}`, {
    hint: "check the folder, its permissions and the space left",
    cause,
  });
}

/** The new name must survive a power cut as the content does; where folders cannot be opened (Windows) it does not matter. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path).catch(() => undefined);
  await folder?.sync().catch(() => {});
  await folder?.close();
}
