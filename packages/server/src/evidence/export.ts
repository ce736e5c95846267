import { leafHash } from "@hoopish/protocol";
import { CALL_COLUMNS } from "./call-columns.ts";
import { csvLine } from "./csv.ts";
import type { CallFilter, EvidenceReader, ExportItem, RecordedCall } from "./port.ts";
import type { OcsfSource } from "./views/ocsf/event.ts";
import { Views } from "./views/views.ts";

type PayloadItem = ExportItem & { readonly kind: "payload" };
type GoneItem = ExportItem & { readonly kind: "gone" };

/**
 * An export as lines of JSON (ExportLine in control-api.ts): records, each followed by the payloads that it commits to.
 * Memory does not grow with the export or with a payload: a large payload's line comes in several chunks.
 * The record stands in its line as the exact text of its leaf.
 */
export async function* exportJsonl(items: AsyncIterable<readonly ExportItem[]>): AsyncGenerator<Buffer> {
  const line = new PayloadLine();
  for await (const batch of items) {
    const parts: Buffer[] = [];
    for (const item of batch) {
      if (item.kind === "record") parts.push(Buffer.from(`{"index":${item.index},"record":${item.leaf}}\n`));
      else if (item.kind === "payload") line.push(item, parts);
      else parts.push(Buffer.from(goneText(item)));
    }
    if (parts.length > 0) yield parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }
}

/** A line of its own, or the end of one that was begun. */
function goneText({ call, field, length, offset, state, purges }: GoneItem): string {
  if (offset > 0) return `","gone":${JSON.stringify(state)}}}\n`;
  const facts = { call, field, bytes: length, state, ...(purges === undefined ? {} : { purges }) };
  return `{"gone":${JSON.stringify(facts)}}\n`;
}

/** Writes one payload's line from its items. */
class PayloadLine {
  /** Bytes that wait for the next item: part of a character, or less than three bytes that base64 takes together. */
  #carried: Buffer = Buffer.alloc(0);

  push(item: PayloadItem, out: Buffer[]): void {
    if (item.offset === 0) {
      this.#carried = Buffer.alloc(0);
      out.push(Buffer.from(this.#head(item)));
    }
    const last = item.offset + item.bytes.byteLength === item.length;
    const bytes = Buffer.concat([this.#carried, item.bytes]);
    const cut = last ? bytes.length : item.utf8 ? completeCharacters(bytes) : bytes.length - (bytes.length % 3);
    const now = bytes.subarray(0, cut);
    this.#carried = bytes.subarray(cut);
    out.push(Buffer.from(item.utf8 ? JSON.stringify(now.toString()).slice(1, -1) : now.toString("base64")));
    if (last) out.push(Buffer.from('"}}\n'));
  }

  #head({ call, field, length, salt, utf8 }: PayloadItem): string {
    const facts = {
      call,
      field,
      bytes: length,
      ...(salt === undefined ? {} : { salt: Buffer.from(salt).toString("base64") }),
      encoding: utf8 ? "utf8" : "base64",
    };
    return `{"payload":${JSON.stringify(facts).slice(0, -1)},"data":"`;
  }
}

/** Length of the part of valid UTF-8 that ends with a whole character (RFC 3629 §3): at most 3 bytes less. */
function completeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back] as number;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : byte < 0x80 ? 1 : 0;
    if (needed > 0) return needed > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

/** An export as OCSF events (views/ocsf), one a line. */
export async function* exportOcsf(
  items: AsyncIterable<readonly ExportItem[]>,
  source: OcsfSource,
): AsyncGenerator<Buffer> {
  const views = new Views(["ocsf.ndjson"], source);
  for await (const batch of items) {
    for (const item of batch) {
      if (item.kind === "record")
        views.push({ index: item.index, leaf: item.leaf, leafHash: leafHash(Buffer.from(item.leaf)) });
    }
    const events = views.take("ocsf.ndjson");
    if (events.length > 0) yield events;
  }
}

const PAGE = 500;

/** Calls as comma-separated values (RFC 4180), newest first: a header row, then one row a call. */
export async function* exportCsv(reader: Pick<EvidenceReader, "calls">, filter: CallFilter): AsyncGenerator<Buffer> {
  yield Buffer.from(csvLine(CALL_COLUMNS));
  let cursor: string | undefined;
  do {
    const page = await reader.calls(filter, PAGE, cursor);
    if (page.items.length > 0) yield Buffer.from(page.items.map(csvRow).join(""));
    cursor = page.next;
  } while (cursor !== undefined);
}

const csvRow = (call: RecordedCall): string => csvLine(CALL_COLUMNS.map((column) => call[column]));
