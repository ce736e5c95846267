import { stat } from "node:fs/promises";
import { HoopishError, isSessionId } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { observeCheckpoint } from "../evidence/observe.ts";
import type { Pin } from "../evidence/pin-file.ts";
import type { Exported } from "../export/bundle-export.ts";
import type { Query } from "../http/api-client.ts";
import { formatBytes } from "../terminal/units.ts";
import { apiTime } from "./audit-list.ts";

export type ExportFormat = "bundle" | "jsonl" | "csv" | "ocsf";

export interface AuditExportOptions {
  readonly since?: string;
  readonly until?: string;
  /** By default bundle where the file's name ends as an archive's, and jsonl otherwise. */
  readonly format?: ExportFormat;
  /** By default with a bundle, and not with jsonl. */
  readonly payloads?: boolean;
  readonly user?: string;
  readonly connection?: string;
  readonly session?: string;
  /** A file, or `-` for stdout. */
  readonly output: string;
  readonly force?: boolean;
  /** Go on with a bundle that was cut off. */
  readonly resume?: boolean;
}

/** The log of a time as one file: a bundle that proves itself, or lines for other programs. */
export async function auditExport(context: Context, options: AuditExportOptions): Promise<void> {
  const { output, force = false } = options;
  const toStdout = output === "-";
  if (options.resume) return await goOn(context, output, toStdout);
  const format = options.format ?? (/\.(tar\.gz|tgz)$/.test(output) ? "bundle" : "jsonl");
  const query = queryOf(format, options, context);
  if (toStdout && context.world.stdout.isTTY) {
    throw new HoopishError("usage", "an export holds what models wrote, and a terminal may obey it", {
      hint: "name a file with -o, or pipe it into another program",
    });
  }
  if (!toStdout && !force) await refuseExisting(output);
  const api = await context.api();
  const pin = await observeCheckpoint(context, api);
  if (format === "bundle") {
    const { exportBundle, pipeBundle } = await import("../export/bundle-export.ts");
    if (toStdout) return void (await pipeBundle(context, api, query));
    return showBundle(context, output, await exportBundle(context, api, query, { output, force }), pin);
  }
  const { exportLines, pipeLines } = await import("../export/plain-export.ts");
  if (toStdout) return await pipeLines(context, api, query);
  const { bytes, lines } = await exportLines(context, api, query, { output, force });
  context.output.show({ file: output, format, bytes, lines }, (safe, style) => [
    `${style.good("✓")} ${safe.lines} lines, ${formatBytes(safe.bytes)}, in ${safe.file}`,
  ]);
}

async function goOn(context: Context, output: string, toStdout: boolean): Promise<void> {
  if (toStdout) {
    throw new HoopishError("usage", "what went to stdout cannot be gone on with", { hint: "name the file with -o" });
  }
  await refuseExisting(output);
  const api = await context.api();
  const pin = await observeCheckpoint(context, api);
  const { resumeBundle } = await import("../export/bundle-export.ts");
  showBundle(context, output, await resumeBundle(context, api, output), pin);
}

/** @throws HoopishError usage for what a format does not have */
function queryOf(format: ExportFormat, options: AuditExportOptions, context: Context): Query {
  const { payloads, user, connection, session } = options;
  if (options.since === undefined) {
    throw new HoopishError("usage", "required option '--since <time>' not specified", {
      hint: "--since 24h, 7d, or a time as RFC 3339 has it",
    });
  }
  const filtered = [user, connection, session].some((value) => value !== undefined);
  if (filtered && (format === "jsonl" || format === "ocsf")) {
    throw new HoopishError("usage", `--user, --connection and --session are for bundles and csv: ${format} is all`, {
      hint: "--format csv lists the calls that fit; of a bundle they pick whose bodies are in it",
    });
  }
  if (payloads === true && (format === "csv" || format === "ocsf")) {
    throw new HoopishError("usage", `${format} has no room for bodies`, { hint: "--format bundle, or jsonl" });
  }
  if (session !== undefined && !isSessionId(session)) {
    throw new HoopishError("usage", `"${session}" is not a session's id`, { hint: "hoopish sessions list shows them" });
  }
  const since = apiTime(options.since, context);
  const until = apiTime(options.until, context);
  const bodies = format === "bundle" ? payloads !== false : payloads === true;
  return { since, until, format, payloads: bodies, user, connection, session };
}

/** The key must not come from whom the bundle speaks about: ours is told only where a person gave it to us. */
function showBundle(context: Context, file: string, { index, bytes }: Exported, pin: Pin | undefined): void {
  const known = pin?.trust === "given" ? pin.vkey : undefined;
  const verify = `hoopish audit verify ${shellWord(file)} --key ${known === undefined ? "VKEY" : shellWord(known)}`;
  context.output.show({ file, format: "bundle", bytes, index, verify }, (safe, style) => [
    `${style.good("✓")} Evidence up to record ${safe.index}, ${formatBytes(safe.bytes)}, in ${safe.file}`,
    `  verify it: ${safe.verify}`,
    known === undefined
      ? "  VKEY is the log's key, and must come from somewhere else than this server: internal audit has it."
      : "  The key is the one that you gave to hoopish audit pin.",
  ]);
}

const shellWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

async function refuseExisting(output: string): Promise<void> {
  const there = await stat(output).then(
    () => true,
    () => false,
  );
  if (there) throw new HoopishError("conflict", `${output} is already there`, { hint: "another name, or --force" });
}
