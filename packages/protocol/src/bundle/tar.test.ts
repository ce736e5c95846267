import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BundleError } from "./bundle-error.ts";
import { ByteReader } from "./byte-reader.ts";
import { mayFollow, parseBundlePath } from "./layout.ts";
import { decodeTarHeader, encodeTarHeader, MAX_TAR_FILE_BYTES, TAR_END, TarReader, tarPadding } from "./tar.ts";

async function* cut(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(bytes: Buffer, size = 700): Promise<{ path: string; content: Buffer }[]> {
  const tar = new TarReader(new ByteReader(cut(bytes, size)));
  const files: { path: string; content: Buffer }[] = [];
  for (let header = await tar.header(); header !== undefined; header = await tar.header()) {
    const parts: Buffer[] = [];
    for (let part = await tar.part(); part !== undefined; part = await tar.part()) parts.push(part);
    files.push({ path: header.path, content: Buffer.concat(parts) });
  }
  return files;
}

const refusal = (bytes: Buffer): Promise<string> =>
  read(bytes).then(
    () => "taken",
    (error: unknown) => (error instanceof BundleError ? error.code : `not ours: ${String(error)}`),
  );

const archive = (files: readonly { readonly path: string; readonly content: Buffer }[], mtime = 0): Buffer =>
  Buffer.concat([
    ...files.flatMap(({ path, content }) => [
      encodeTarHeader({ path, size: content.length, mtime }),
      content,
      Buffer.alloc(tarPadding(content.length)),
    ]),
    TAR_END,
  ]);

describe("tar", () => {
  test("reads what it writes, however it is cut", async () => {
    const files = fc.array(
      fc.record({
        path: fc.stringMatching(/^[a-z0-9/._-]{1,100}$/),
        content: fc.uint8Array({ maxLength: 1_100 }).map((bytes) => Buffer.from(bytes)),
      }),
      { maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(files, fc.integer({ min: 1, max: 1_500 }), async (all, size) => {
        expect(await read(archive(all), size)).toEqual(all);
      }),
    );
  });

  test("a header is that of POSIX ustar", () => {
    const header = encodeTarHeader({ path: "records/000000.jsonl.gz", size: 0o1234, mtime: 1_795_420_800 });
    expect(header.toString("latin1", 257, 265)).toBe("ustar\x0000");
    expect(header.toString("latin1", 124, 136)).toBe("00000001234\x00");
    const sum = Buffer.concat([header.subarray(0, 148), Buffer.alloc(8, " "), header.subarray(156)]);
    expect(header.toString("latin1", 148, 156)).toBe(
      `${sum
        .reduce((total, byte) => total + byte, 0)
        .toString(8)
        .padStart(6, "0")}\x00 `,
    );
    expect(decodeTarHeader(header)).toEqual({ path: "records/000000.jsonl.gz", size: 0o1234, mtime: 1_795_420_800 });
    expect(() => encodeTarHeader({ path: "x", size: MAX_TAR_FILE_BYTES + 1, mtime: 0 })).toThrow(RangeError);
    expect(() => encodeTarHeader({ path: "x".repeat(101), size: 0, mtime: 0 })).toThrow(RangeError);
  });

  /** With a checksum that fits, as a hostile writer would make it. */
  const altered = (at: number, text: string): Buffer => {
    const block = encodeTarHeader({ path: "scope.json", size: 0, mtime: 0 });
    block.write(text, at, "latin1");
    block.write("        ", 148, "latin1");
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, "0")}\x00 `, 148, "latin1");
    return Buffer.concat([block, TAR_END]);
  };

  test.each<[string, number, string]>([
    ["a hard link", 156, "1"],
    ["a symbolic link", 156, "2"],
    ["a character device", 156, "3"],
    ["a block device", 156, "4"],
    ["a folder", 156, "5"],
    ["a pipe", 156, "6"],
    ["a PAX header", 156, "x"],
    ["a global PAX header", 156, "g"],
    ["a GNU long name", 156, "L"],
    ["a GNU sparse file", 156, "S"],
    ["the old type of a file", 156, "\x00"],
    ["a link's target", 157, "/etc/passwd"],
    ["a prefix", 345, "/etc"],
    ["an owner", 265, "root"],
    ["an owner's number", 108, "0000001"],
    ["the bits of a program", 100, "0000755"],
    ["GNU's magic", 257, "ustar  \x00"],
    ["bytes behind the name", 20, "hidden"],
    ["bytes at the end of the header", 505, "hidden"],
    ["a size with spaces", 124, "         0 \x00"],
    ["a size in base 256", 124, "\x80"],
    ["a time without its end", 136, "000000000000"],
  ])("refuses %s", async (_, at, text) => {
    expect(await refusal(altered(at, text))).toBe("archive_malformed");
  });

  test("refuses bytes between files, an end that is none, more behind it, and less", async () => {
    const good = archive([{ path: "a", content: Buffer.from("a") }]);
    const filled = Buffer.from(good);
    filled[600] = 1;
    expect(await refusal(filled)).toBe("archive_malformed");
    expect(await refusal(Buffer.concat([good.subarray(0, -512), Buffer.alloc(512, 1)]))).toBe("archive_malformed");
    expect(await refusal(Buffer.concat([good, Buffer.alloc(1)]))).toBe("archive_trailing");
    for (let at = 0; at < good.length; at += 100) expect(await refusal(good.subarray(0, at))).toBe("archive_truncated");
  });
});

describe("parseBundlePath", () => {
  test.each([
    "/VERIFY.md",
    "../VERIFY.md",
    "./VERIFY.md",
    "records/../VERIFY.md",
    "records/",
    "records/0.jsonl.gz",
    "records/0000000.jsonl.gz",
    "records/000000.jsonl",
    "records/000000.sha256",
    "payloads/000000.jsonl.gz",
    "payloads/call_1/request",
    `payloads/call_${"a".repeat(32)}/secret`,
    `payloads/call_${"a".repeat(32)}/request/x`,
    `payloads/call_${"A".repeat(32)}/request`,
    "anchors/",
    "anchors/..",
    "anchors/.hidden",
    "anchors/a/b",
    "views/a b",
    `views/${"a".repeat(81)}`,
    "constructor",
    "__proto__",
    "manifest.json\n",
    "",
  ])("refuses %j", (path) => {
    expect(parseBundlePath(path)).toBeUndefined();
  });

  test("knows the chunk, and the call and field", () => {
    expect(parseBundlePath("records/000012.jsonl.gz")).toEqual({ kind: "records", chunk: 12 });
    expect(parseBundlePath("records/1000000.jsonl.gz")).toEqual({ kind: "records", chunk: 1_000_000 });
    expect(parseBundlePath("payloads/000003.sha256")).toEqual({ kind: "payload-sums", chunk: 3 });
    const call = `call_${"a".repeat(32)}`;
    expect(parseBundlePath(`payloads/${call}/delivered.salt`)).toEqual({ kind: "salt", call, field: "delivered" });
    expect(parseBundlePath("views/ocsf.ndjson")).toEqual({ kind: "view", name: "ocsf.ndjson" });
  });
});

test("files stand in one order, the guide first and the manifest's note last", () => {
  expect(mayFollow(undefined, "guide")).toBe(true);
  expect(mayFollow(undefined, "scope")).toBe(false);
  expect(mayFollow("scope", "scope")).toBe(false);
  expect(mayFollow("payload", "records")).toBe(true);
  expect(mayFollow("records", "anchor")).toBe(false);
  expect(mayFollow("anchor", "anchor")).toBe(true);
  expect(mayFollow("manifest-note", "view")).toBe(false);
});
