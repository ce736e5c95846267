import type { X509Certificate } from "node:crypto";
import { open, readFile, stat } from "node:fs/promises";
import { HoopishError, readAuthorities } from "@hoopish/protocol";
import { VERDICT_EXIT, verifyBundle } from "@hoopish/protocol/bundle";
import type { Context } from "../context.ts";
import { verdictLines } from "../evidence/verdict-lines.ts";

export interface AuditVerifyOptions {
  /** Verifier keys of the log, and of witnesses. */
  readonly key?: readonly string[];
  /** A file with one verifier key a line; empty lines and lines that begin with # are passed over. */
  readonly keyFile?: string;
  /** A file with a signed checkpoint that was had before. */
  readonly checkpoint?: string;
  /** A PEM file with the certificates of time-stamp authorities. */
  readonly tsaCertificates?: string;
}

const READ_BYTES = 256 * 1024;

/**
 * Checks a bundle against keys that come from elsewhere. Reads the files that are named and nothing else: no network, no
 * settings.
 * @returns 0 verified, 1 tampered, 2 incomplete
 * @throws HoopishError usage for files and keys that cannot be used
 */
export async function auditVerify(context: Context, bundle: string, options: AuditVerifyOptions): Promise<number> {
  const keys = [...(options.key ?? []), ...(await keysOf(options.keyFile))];
  if (keys.length === 0) {
    throw new HoopishError("usage", "without the log's key nothing can be verified", {
      hint: "--key VKEY, from whoever keeps the log; never from the bundle, or from who sent it",
    });
  }
  const pin = options.checkpoint === undefined ? undefined : await read(options.checkpoint);
  const authorities = await authoritiesOf(options.tsaCertificates);
  const report = await verifyBundle(await bytesOf(context, bundle), { keys, pin, authorities });
  context.output.show(report, verdictLines);
  return VERDICT_EXIT[report.verdict];
}

async function bytesOf({ world }: Context, bundle: string): Promise<AsyncIterable<Uint8Array>> {
  if (bundle === "-") {
    if (world.stdin.isTTY) throw new HoopishError("usage", "a bundle is piped in, and not typed");
    return readable(world.stdin.bytes(), "what was piped in");
  }
  // Looked at before anything is said of it: a file that is not there is no evidence of tampering.
  const found = await stat(bundle).catch((error: unknown) => {
    throw unreadable(bundle, error);
  });
  if (!found.isFile()) throw new HoopishError("usage", `${bundle} is no file`);
  return readable(fileBytes(bundle), bundle);
}

/** Opened when it is first read: whoever never does so leaves nothing open. */
async function* fileBytes(path: string): AsyncGenerator<Uint8Array> {
  const handle = await open(path);
  yield* handle.createReadStream({ highWaterMark: READ_BYTES });
}

/** A disk or pipe that fails says nothing of the bundle. */
async function* readable(source: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    throw unreadable(name, error);
  }
}

async function keysOf(file: string | undefined): Promise<readonly string[]> {
  if (file === undefined) return [];
  const lines = (await read(file)).split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "" && !line.startsWith("#"));
}

async function authoritiesOf(file: string | undefined): Promise<readonly X509Certificate[]> {
  if (file === undefined) return [];
  const pem = await read(file);
  try {
    return readAuthorities(pem);
  } catch (cause) {
    throw new HoopishError("usage", `${file} holds no certificates in PEM`, { cause });
  }
}

const read = (file: string): Promise<string> =>
  readFile(file, "utf8").catch((error: unknown) => {
    throw unreadable(file, error);
  });

function unreadable(name: string, cause: unknown): HoopishError {
  return new HoopishError("usage", `${name} cannot be read: ${(cause as Error).message}`, { cause });
}
