import { rm } from "node:fs/promises";
import { HoopishError, isCallId, type VerifiedReceipt } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { fetchReceipt } from "../evidence/receipt.ts";
import { PartFile, partOf } from "../export/part-file.ts";
import type { Style } from "../terminal/style.ts";
import { details } from "../terminal/table.ts";
import { formatBytes, formatTime } from "../terminal/units.ts";

export type ReceiptType = "call.decided" | "call.answered" | "call.interrupted";

export interface AuditReceiptOptions {
  readonly type: ReceiptType;
  readonly output?: string;
  readonly force?: boolean;
}

/** The proof of one record of a call, for somebody who trusts nobody here; verified before it is kept. */
export async function auditReceipt(
  context: Context,
  id: string | undefined,
  options: AuditReceiptOptions,
): Promise<void> {
  if (!isCallId(id)) {
    throw new HoopishError("usage", id === undefined ? "name a call" : `"${id}" is not a call's id`, {
      hint: "it stands in each answer's hoopish-call, and in hoopish audit list: call_ and 32 hexadecimal digits",
    });
  }
  const { output } = options;
  const { receipt, verified } = await fetchReceipt(context, await context.api(), id, options.type);
  if (output === undefined) {
    if (context.output.json) return context.output.show(receipt, () => []);
    return showReceipt(context, verified, []);
  }
  await keep(output, `${JSON.stringify(receipt, undefined, 2)}\n`, options.force ?? false);
  const { origin, index, size } = verified;
  if (context.output.json) {
    return context.output.show({ file: output, call: id, type: options.type, origin, index, size }, () => []);
  }
  showReceipt(context, verified, [["kept in", output]]);
}

async function keep(path: string, text: string, force: boolean): Promise<void> {
  if (force) await rm(partOf(path), { force: true });
  else await refuseExisting(path);
  const part = await PartFile.create(path);
  try {
    await part.write(Buffer.from(text));
    await part.finish();
  } catch (error) {
    await part.discard();
    throw error;
  }
}

/** @throws HoopishError conflict */
async function refuseExisting(path: string): Promise<void> {
  const { stat } = await import("node:fs/promises");
  const there = await stat(path).then(
    () => true,
    () => false,
  );
  if (there) throw new HoopishError("conflict", `${path} is already there`, { hint: "another name, or --force" });
}

type Row = readonly [string, string | undefined];

/** What the record says, and what is proven of it. */
export function showReceipt({ output }: Context, verified: VerifiedReceipt, more: readonly Row[]): void {
  output.show({ verified, more }, (safe, style) =>
    details([...recordRows(safe.verified, style), ...proofRows(safe.verified, style), ...safe.more], style),
  );
}

/** A record of the log's own making has more than these; whatever else stands there is not shown as if it were known. */
function recordRows({ record }: VerifiedReceipt, style: Style): readonly Row[] {
  const at = (...path: readonly string[]): string | undefined => primitiveAt(record, path);
  const joined = (first: string | undefined, word: string, second: string | undefined): string | undefined =>
    first === undefined || second === undefined ? first : `${first} ${word} ${second}`;
  const [time, took, delivered] = [at("time"), at("duration_ms"), at("delivered")];
  return [
    ["record", style.strong(at("type") ?? "of no type")],
    ["call", at("call")],
    ["time", time === undefined ? undefined : `${formatTime(time)}, by the server's clock`],
    ["user", joined(at("actor", "name"), `(${at("actor", "kind")} ${at("actor", "sub")}) of`, at("actor", "iss"))],
    ["session", at("session")],
    ["connection", at("connection")],
    ["request", [at("method"), at("path")].filter((word) => word !== undefined).join(" ")],
    ["operation", joined(at("operation", "kind"), "rows", at("operation", "rows"))],
    ["model", at("operation", "model")],
    ["verdict", joined(at("verdict"), "by rule", at("rule"))],
    ["policy", at("policy")],
    ["status", at("status")],
    ["code", at("code")],
    ["outcome", at("outcome")],
    ["interrupted", at("reason")],
    ["took", took === undefined ? undefined : `${took} ms`],
    ["delivered", delivered === undefined ? undefined : formatBytes(Number(delivered))],
    ["committed", commitments(record.payloads)],
  ];
}

function primitiveAt(value: unknown, [name, ...rest]: readonly string[]): string | undefined {
  if (name === undefined) return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return primitiveAt((value as Readonly<Record<string, unknown>>)[name], rest);
}

/** Which bodies the record commits to: with their salts, from an export, they can be shown to be those. */
function commitments(payloads: unknown): string {
  if (typeof payloads !== "object" || payloads === null) return "";
  return Object.keys(payloads)
    .map((field) => `${field} (${formatBytes(Number(primitiveAt(payloads, [field, "len"])))})`)
    .join(", ");
}

function proofRows({ origin, index, size, signed }: VerifiedReceipt, style: Style): readonly Row[] {
  const keys = signed.map(({ vkey }) => vkey).join(", ");
  return [
    ["proof", style.good(`record ${index} of the ${size} that ${origin} has signed`)],
    ["key", keys],
  ];
}
