import { readFile, stat } from "node:fs/promises";
import {
  HoopishError,
  NoteError,
  type NoteReason,
  type NoteVerifier,
  receiptSchema,
  type VerifiedReceipt,
  verifyReceipt,
} from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { givenKey } from "../evidence/pin.ts";
import { showReceipt } from "./audit-receipt.ts";

/** A record and a proof have some kilobytes. */
const MAX_BYTES = 4 * 1024 * 1024;

export interface ReceiptCheckOptions {
  /** The file. */
  readonly check: string;
  /** The log's vkey, from somewhere else than the file and the server. */
  readonly key?: string;
}

interface Refused {
  readonly verified: false;
  readonly reason: NoteReason | "another_call";
  readonly message: string;
}

/**
 * Checks a receipt with nothing but the file and the key: no network, no settings.
 * @param id the call that it must be of; by default any
 * @returns 1 when it proves nothing
 */
export async function auditReceiptCheck(
  context: Context,
  id: string | undefined,
  { check: file, key }: ReceiptCheckOptions,
): Promise<number> {
  if (key === undefined) {
    throw new HoopishError("usage", "--check needs the log's key", {
      hint: "--key VKEY, from somewhere else than the file and the server: internal audit has it",
    });
  }
  const result = verify(await read(file), givenKey(key), id);
  if (!("record" in result)) {
    context.output.show(result, (safe, style) => [`${style.bad("✗")} NOT VERIFIED: ${safe.message}`]);
    return 1;
  }
  const { origin, index, size, root, record } = result;
  if (context.output.json) {
    const proven = { verified: true, origin, index, size, root: root.toString("base64"), record };
    context.output.show(proven, () => []);
    return 0;
  }
  showReceipt(context, result, []);
  return 0;
}

function verify(text: string, key: NoteVerifier, id: string | undefined): VerifiedReceipt | Refused {
  try {
    const parsed = receiptSchema.safeParse(JSON.parse(text));
    if (!parsed.success) return refused("malformed", "this is no receipt of hoopish");
    const verified = verifyReceipt(parsed.data, [key]);
    if (id === undefined || verified.record.call === id) return verified;
    return refused("another_call", `the receipt is that of ${String(verified.record.call)}`);
  } catch (error) {
    if (error instanceof SyntaxError) return refused("malformed", "this is no receipt of hoopish: not JSON");
    if (error instanceof NoteError) return refused(error.reason, error.message);
    throw error;
  }
}

const refused = (reason: Refused["reason"], message: string): Refused => ({ verified: false, reason, message });

async function read(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > MAX_BYTES) throw new Error("it is too large for a receipt");
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new HoopishError("usage", `${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
