import { readFileSync } from "node:fs";
import type { World } from "./world.ts";

export interface ExportedRecord {
  readonly type: string;
  readonly call?: string;
  readonly session?: string;
  readonly actor?: { readonly name: string; readonly sub: string };
  readonly [member: string]: unknown;
}

export interface Exported {
  readonly records: readonly ExportedRecord[];
  readonly indexes: readonly number[];
  /** Bytes by call and field. */
  readonly payloads: ReadonlyMap<string, Buffer>;
}

/** What internal audit gets: every record since then, and every body. */
export async function exportLog(world: World, since = "1h"): Promise<Exported> {
  const file = world.path(`export-${crypto.randomUUID()}.jsonl`);
  const args = ["audit", "export", "--since", since, "--format", "jsonl", "--payloads", "-o", file];
  const { code, stderr } = await world.cli("audit", args);
  if (code !== 0) throw new Error(`audit export ended with ${code}: ${stderr}`);
  const records: ExportedRecord[] = [];
  const indexes: number[] = [];
  const payloads = new Map<string, Buffer>();
  for (const line of readFileSync(file, "utf8").trimEnd().split("\n")) {
    const item = JSON.parse(line) as {
      index: number;
      record?: ExportedRecord;
      payload?: { call: string; field: string; encoding: "utf8" | "base64"; data: string };
    };
    if (item.record !== undefined) {
      records.push(item.record);
      indexes.push(item.index);
    } else if (item.payload !== undefined) {
      const { call, field, encoding, data } = item.payload;
      const key = `${call} ${field}`;
      payloads.set(key, Buffer.concat([payloads.get(key) ?? Buffer.alloc(0), Buffer.from(data, encoding)]));
    }
  }
  return { records, indexes, payloads };
}

/** The one record of a call with this type. @throws when there is none or more than one */
export function recordOf(exported: Exported, call: string | null | undefined, type: string): ExportedRecord {
  const found = exported.records.filter((record) => record.call === call && record.type === type);
  if (found.length !== 1 || found[0] === undefined) throw new Error(`${found.length} records ${type} of ${call}`);
  return found[0];
}
