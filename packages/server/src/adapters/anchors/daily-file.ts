import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { HoopishError } from "@hoopish/protocol";

/** Absent on Windows. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
const HAS_MODES = process.getuid !== undefined;
const NEWLINE = 0x0a;
const CHUNK_BYTES = 65_536;
/** A checkpoint's line has some 400 bytes, a receipt's up to 100 KiB. */
const MAX_LINE_BYTES = 262_144;

/**
 * Lines in a folder, one file a day: `<prefix>-<date>-<number>.jsonl`. Lines are only ever added. A line without its
 * newline is one that a crash or a full disk cut off: it stays as it is, is not read, and the next line begins the day's
 * next file. So whoever collects the files, or makes them append-only, never sees one change.
 *
 * The folder is for us to write alone, but for a group that it may belong to. Links in the place of files are not followed.
 */
export class DailyFile {
  readonly #folder: string;
  readonly #prefix: string;
  readonly #now: () => number;

  constructor(folder: string, prefix: string, now: () => number) {
    this.#folder = folder;
    this.#prefix = prefix;
    this.#now = now;
  }

  /** Durable when it resolves. @throws HoopishError configuration for a folder or file that is not safe; Error of the system */
  async append(line: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o750 });
    await this.#checkFolder();
    const today = new Date(this.#now()).toISOString().slice(0, 10);
    const newest = (await this.#names()).at(-1);
    // Never a name before one that is there, or a clock that was set back would hide newer lines behind older ones.
    const first = this.#name(today, 0);
    if (newest === undefined || first > newest) return this.#write(first, line);
    const [, date = today, number = "0"] = FILE_NAME.exec(newest) ?? [];
    if (!(await this.#isTorn(newest))) return this.#write(newest, line);
    return this.#write(this.#name(date, Number(number) + 1), line);
  }

  /** Names of the files, oldest first; none when the folder is not there. */
  async #names(): Promise<string[]> {
    const names = await readdir(this.#folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    return names.filter((name) => FILE_NAME.test(name) && name.startsWith(`${this.#prefix}-`)).sort();
  }

  /**
   * The whole lines of the newest file that has any which are `wanted`, oldest first, without their newlines.
   * @throws HoopishError configuration for what is not safe to read
   */
  async *newestLines(wanted: (line: string) => boolean = () => true): AsyncGenerator<string> {
    if ((await this.#names()).length === 0) return;
    await this.#checkFolder();
    for (const name of (await this.#names()).reverse()) {
      let any = false;
      for await (const line of this.#lines(name)) {
        if (!wanted(line)) continue;
        any = true;
        yield line;
      }
      if (any) return;
    }
  }

  async #write(name: string, line: string): Promise<void> {
    const handle = await this.#open(name, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT);
    try {
      const bytes = Buffer.from(`${line}\n`);
      const isNew = (await handle.stat()).size === 0;
      // In one call: with O_APPEND no other writer's bytes come between.
      const { bytesWritten } = await handle.write(bytes);
      if (bytesWritten !== bytes.length) throw new Error(`only a part of a line could be written to ${name}`);
      await handle.sync();
      if (isNew) await this.#syncFolder();
    } finally {
      await handle.close();
    }
  }

  async #isTorn(name: string): Promise<boolean> {
    const handle = await this.#open(name, constants.O_RDONLY);
    try {
      const { size } = await handle.stat();
      if (size === 0) return false;
      const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
      return buffer[0] !== NEWLINE;
    } finally {
      await handle.close();
    }
  }

  async *#lines(name: string): AsyncGenerator<string> {
    const handle = await this.#open(name, constants.O_RDONLY);
    try {
      let rest = Buffer.alloc(0);
      for (;;) {
        const { buffer, bytesRead } = await handle.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES);
        if (bytesRead === 0) return;
        rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
        for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
          yield rest.toString("utf8", 0, end);
          rest = rest.subarray(end + 1);
        }
        if (rest.length > MAX_LINE_BYTES) throw unsafe(join(this.#folder, name), "has a line that is too long");
      }
    } finally {
      await handle.close();
    }
  }

  async #open(name: string, flags: number): Promise<FileHandle> {
    const path = join(this.#folder, name);
    const handle = await open(path, flags | NO_FOLLOW, 0o640).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ELOOP" || error.code === "EMLINK") throw unsafe(path, "is a link");
      throw error;
    });
    try {
      // Asked of the open file, not of the path: what was checked is what is used.
      const { mode, nlink } = await handle.stat();
      if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw unsafe(path, "is not a file");
      if (nlink > 1) throw unsafe(path, "has a second name elsewhere");
      if (HAS_MODES && (mode & 0o022) !== 0) throw unsafe(path, "can be written by other users");
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async #checkFolder(): Promise<void> {
    const { mode } = await stat(this.#folder);
    if (HAS_MODES && (mode & 0o002) !== 0) throw unsafe(this.#folder, "can be written by everybody");
  }

  async #syncFolder(): Promise<void> {
    if (!HAS_MODES) return;
    const folder = await open(this.#folder, constants.O_RDONLY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  #name(date: string, number: number): string {
    return `${this.#prefix}-${date}-${String(number).padStart(4, "0")}.jsonl`;
  }
}

const FILE_NAME = /-(\d{4}-\d{2}-\d{2})-(\d{4})\.jsonl$/;

function unsafe(path: string, what: string): HoopishError {
  return new HoopishError("configuration", `${path} ${what}; it is not used`, {
    hint: "an anchor's folder holds plain files that nobody but the server writes",
  });
}
