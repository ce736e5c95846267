import { createHash } from "node:crypto";
import { join } from "node:path";
import { HoopishError } from "@hoopish/protocol";
import { z } from "zod";
import { withFileLock } from "../auth/file-lock.ts";
import { ensurePrivateDir } from "../config/private-dir.ts";
import { type PrivateFile, readPrivateFile, removePrivateFile, writePrivateFile } from "../config/private-file.ts";

/** The newest checkpoint that a server has shown us. */
export interface Pin {
  readonly v: 1;
  /** Origin of the server (URL). */
  readonly server: string;
  /** The log's key, C2SP vkey. */
  readonly vkey: string;
  /** Where the key came from: the server itself, when it was first asked, or the person. */
  readonly trust: "first_use" | "given";
  /** The signed note. */
  readonly note: string;
  /** RFC 3339. */
  readonly seenAt: string;
}
const pinSchema: z.ZodType<Pin> = z.object({
  v: z.literal(1),
  server: z.string(),
  vkey: z.string(),
  trust: z.enum(["first_use", "given"]),
  note: z.string(),
  seenAt: z.string(),
});

/** What was found when a log contradicted its pin: two signed statements that cannot both be true. */
export interface Conflict {
  readonly found: string;
  readonly at: string;
  readonly pinned: Pin;
  /** The note that the server showed, whatever it was; absent when it showed none. */
  readonly shown?: string;
}

export interface PinPlace {
  readonly configDir: string;
  readonly uid: number | undefined;
  readonly host: string;
  readonly pid: number;
}

const RENEW = "hoopish audit pin --forget";

/** One server's pin, in a file of its own in the configuration folder. */
export class PinFile {
  readonly #place: PinPlace;
  readonly #pin: PrivateFile;
  readonly #conflict: PrivateFile;

  constructor(place: PinPlace, server: string) {
    const path = join(place.configDir, `log-${createHash("sha256").update(server).digest("hex").slice(0, 16)}`);
    this.#place = place;
    this.#pin = { path: `${path}.json`, uid: place.uid, what: "pin file", renew: RENEW };
    this.#conflict = { path: `${path}.conflict.json`, uid: place.uid, what: "conflict file", renew: RENEW };
  }

  /** @throws HoopishError configuration: a pin that cannot be read is never taken for none */
  async read(): Promise<Pin | undefined> {
    const text = await readPrivateFile(this.#pin);
    if (text === undefined) return undefined;
    const parsed = pinSchema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    throw new HoopishError("configuration", `the pin file ${this.#pin.path} is damaged`, {
      hint: `restore it; where that cannot be, ${RENEW}`,
      cause: parsed.error,
    });
  }

  /**
   * Puts `after` in the place of `before`.
   * @returns `after`; or, when another command has been faster, the pin that stands there and was left as it is
   */
  async replace(before: Pin | undefined, after: Pin): Promise<Pin | undefined> {
    return this.#locked(async () => {
      const now = await this.read();
      if (now?.note !== before?.note || now?.vkey !== before?.vkey) return now;
      await writePrivateFile(this.#pin, JSON.stringify(after));
      return after;
    });
  }

  /** Forgets the pin and what contradicted it. @returns whether there was one */
  async forget(): Promise<boolean> {
    return this.#locked(async () => {
      await removePrivateFile(this.#conflict);
      return removePrivateFile(this.#pin);
    });
  }

  /** Keeps the first contradiction: what comes after it adds nothing, and may come every second. @returns its path */
  async keepConflict(conflict: Conflict): Promise<string> {
    await this.#locked(async () => {
      if ((await readPrivateFile(this.#conflict)) !== undefined) return;
      await writePrivateFile(this.#conflict, JSON.stringify(conflict, undefined, 2));
    });
    return this.#conflict.path;
  }

  #locked<T>(work: () => Promise<T>): Promise<T> {
    const { configDir, uid, host, pid } = this.#place;
    ensurePrivateDir(configDir, uid);
    return withFileLock({ path: `${this.#pin.path}.lock`, host, pid }, work);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
