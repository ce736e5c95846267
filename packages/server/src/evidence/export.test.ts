import { type ExportLine, exportLineSchema, newCallId, newSessionId } from "@hoopish/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ALL_CALLS } from "./all-calls.ts";
import { csvCell } from "./csv.ts";
import { exportCsv, exportJsonl } from "./export.ts";
import type { ExportItem, RecordedCall } from "./port.ts";

type Payload = Extract<ExportLine, { payload: unknown }>["payload"];

async function text(chunks: AsyncIterable<Buffer>): Promise<string> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all).toString();
}

async function* inBatches(items: readonly ExportItem[], size: number): AsyncGenerator<readonly ExportItem[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}

/** One payload as items that end at `cuts`. */
function payloadItems(bytes: Buffer, cuts: readonly number[], utf8: boolean, salt?: Uint8Array): ExportItem[] {
  const inside = cuts.map((cut) => cut % (bytes.length + 1)).filter((cut) => cut > 0);
  const ends = [...new Set([...inside, bytes.length])].sort((a, b) => a - b);
  const call = newCallId();
  return ends.map((end, position) => {
    const offset = position === 0 ? 0 : (ends[position - 1] as number);
    return {
      kind: "payload",
      call,
      field: "delivered",
      salt,
      length: bytes.length,
      utf8,
      offset,
      bytes: bytes.subarray(offset, end),
    };
  });
}

async function payloadLine(items: readonly ExportItem[]): Promise<Payload> {
  const lines = (await text(exportJsonl(inBatches(items, 2)))).split("\n");
  expect(lines).toHaveLength(2);
  const line = exportLineSchema.parse(JSON.parse(lines[0] as string));
  if (!("payload" in line)) throw new Error("no payload");
  return line.payload;
}

describe("exportJsonl", () => {
  test("a record's line holds the exact text of its leaf", async () => {
    const leaf = '{"a":"\\u0007","b":1}';
    const out = await text(exportJsonl(inBatches([{ kind: "record", index: 7, leaf }], 1)));
    expect(out).toBe(`{"index":7,"record":${leaf}}\n`);
  });

  test("text is given as text and anything else as base64, wherever it was cut", async () => {
    const cuts = fc.array(fc.nat(10_000), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", maxLength: 200 }), cuts, async (given, at) => {
        const payload = await payloadLine(payloadItems(Buffer.from(given), at, true, Buffer.alloc(32, 1)));
        expect(payload).toMatchObject({
          encoding: "utf8",
          data: given.toWellFormed(),
          bytes: Buffer.byteLength(given),
        });
        expect(payload.salt).toBe(Buffer.alloc(32, 1).toString("base64"));
      }),
      { numRuns: 50 },
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), cuts, async (given, at) => {
        const payload = await payloadLine(payloadItems(Buffer.from(given), at, false));
        expect(payload).toMatchObject({ encoding: "base64", data: Buffer.from(given).toString("base64") });
        expect(payload).not.toHaveProperty("salt");
      }),
      { numRuns: 50 },
    );
  });

  test("an empty payload is a line too", async () => {
    expect(await payloadLine(payloadItems(Buffer.alloc(0), [], true))).toMatchObject({ bytes: 0, data: "" });
  });

  test("does not ask for the next batch before this one is taken", async () => {
    let asked = 0;
    async function* items(): AsyncGenerator<readonly ExportItem[]> {
      for (; asked < 100; ) {
        asked += 1;
        yield [{ kind: "record", index: asked, leaf: "{}" }];
      }
    }
    for await (const _ of exportJsonl(items())) break;
    expect(asked).toBe(1);
  });
});

const call = (more: Partial<RecordedCall> = {}): RecordedCall => ({
  id: newCallId(),
  time: "2026-11-23T08:00:00.000Z",
  user: "ada@bank.example",
  connection: "model-x",
  session: newSessionId(),
  method: "POST",
  path: "/v1/chat",
  kind: "chat",
  verdict: "allow",
  ...more,
});

const readerOf = (pages: readonly (readonly RecordedCall[])[]) => ({
  calls: async (_filter: unknown, _limit: number, cursor: string | undefined) => {
    const at = Number(cursor ?? 0);
    return { items: pages[at] ?? [], next: at + 1 < pages.length ? String(at + 1) : undefined };
  },
});

/** RFC 4180, as a spreadsheet reads it. */
function parseCsv(given: string): string[][] {
  const rows: string[][] = [];
  for (let at = 0; at < given.length; ) {
    const row: string[] = [];
    for (;;) {
      const quoted = /^"((?:[^"]|"")*)"/.exec(given.slice(at));
      const cell = quoted?.[0] ?? /^[^,\r\n]*/.exec(given.slice(at))?.[0] ?? "";
      row.push(quoted?.[1]?.replaceAll('""', '"') ?? cell);
      at += cell.length;
      if (given[at] !== ",") break;
      at += 1;
    }
    expect(given.slice(at, at + 2)).toBe("\r\n");
    at += 2;
    rows.push(row);
  }
  return rows;
}

describe("exportCsv", () => {
  test("a header, then a row a call, page after page", async () => {
    const ended = call({ status: 200, durationMs: 12, outcome: "complete", endedAt: "2026-11-23T08:00:00.012Z" });
    const [header, ...rows] = parseCsv(await text(exportCsv(readerOf([[ended], [call(), call()]]), ALL_CALLS)));
    expect(header?.slice(0, 4)).toEqual(["id", "time", "endedAt", "user"]);
    expect(rows).toHaveLength(3);
    const row = Object.fromEntries(header?.map((name, i) => [name, rows[0]?.[i]]) ?? []);
    expect(row).toMatchObject({ id: ended.id, endedAt: ended.endedAt, status: "200", durationMs: "12", model: "" });
  });

  test("of nothing is the header", async () => {
    expect(parseCsv(await text(exportCsv(readerOf([[]]), ALL_CALLS)))).toHaveLength(1);
  });

  test("any text comes back as it was, and no cell begins a formula", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), async (model) => {
        const [header, row] = parseCsv(await text(exportCsv(readerOf([[call({ model })]]), ALL_CALLS)));
        const cell = row?.[header?.indexOf("model") ?? -1] ?? "";
        expect(cell).not.toMatch(/^[=+\-@\t\r]/);
        const given = Buffer.from(model).toString();
        expect(cell).toBe(/^[=+\-@\t\r]/.test(given) ? `'${given}` : given);
      }),
    );
  });

  test.each([
    ["=cmd|'/c calc'!A0", "'=cmd|'/c calc'!A0"],
    ["+1", "'+1"],
    ["-1", "'-1"],
    ["@SUM(A1)", "'@SUM(A1)"],
    ["\t=1", "'\t=1"],
    ["\r=1", '"\'\r=1"'],
    ['=HYPERLINK("http://evil")', '"\'=HYPERLINK(""http://evil"")"'],
    ["a,b", '"a,b"'],
    ['say "no"', '"say ""no"""'],
    ["two\nlines", '"two\nlines"'],
    ["plain", "plain"],
    ["", ""],
  ])("%j is written as %j", (given, written) => {
    expect(csvCell(given)).toBe(written);
  });

  test("a negative number is a number", () => {
    expect(csvCell(-5)).toBe("-5");
  });
});
