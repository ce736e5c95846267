import { readFile, stat } from "node:fs/promises";
import { performance } from "node:perf_hooks";
import type { TemplatePart } from "../config/config.ts";
import { CredentialError, type SecretSource } from "./secret-source.ts";

/** A changed file is seen after at most this long. */
const LOOK_EVERY_MS = 1_000;
/** A key file that is larger than this is the wrong file. */
const MAX_FILE_BYTES = 64 * 1024;

/**
 * A credential made of text and files, read again when a file has changed. Files are looked at by name, so a renamed or
 * re-linked file is followed (Kubernetes swaps a symbolic link of a folder above); it must be replaced as a whole, for
 * half a file is half a key. A file that is gone or empty is a failure: its key was withdrawn.
 */
export function fileSource(parts: readonly TemplatePart[]): SecretSource {
  let known: { readonly text: string; readonly marks: string } | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<string> | undefined;

  const look = async (): Promise<string> => {
    const started = performance.now();
    const files = parts.filter((part) => typeof part !== "string");
    const marks = (await Promise.all(files.map((part) => mark(part.file)))).join();
    if (known?.marks !== marks) {
      const texts = await Promise.all(parts.map((part) => (typeof part === "string" ? part : readSecret(part.file))));
      known = { text: texts.join(""), marks };
    }
    lookedAt = started;
    return known.text;
  };

  return {
    read() {
      if (known !== undefined && performance.now() - lookedAt < LOOK_EVERY_MS) return known.text;
      looking ??= look().finally(() => {
        looking = undefined;
      });
      return looking;
    },
    doubt() {
      lookedAt = Number.NEGATIVE_INFINITY;
    },
  };
}

/** Differs when the file was written or replaced. The inode and the change time also tell two writes in one second. */
async function mark(file: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
    return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
  } catch (error) {
    throw unreadable(file, error);
  }
}

async function readSecret(file: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw unreadable(file, error);
  }
  if (bytes.length > MAX_FILE_BYTES) throw new CredentialError(`credential file ${file} is larger than 64 KiB`);
  const text = bytes.toString("utf8").replace(/[\r\n]+$/, "");
  if (text === "") throw new CredentialError(`credential file ${file} is empty`);
  return text;
}

function unreadable(file: string, error: unknown): CredentialError {
  const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
  return new CredentialError(`credential file ${file} cannot be read (${code})`);
}
