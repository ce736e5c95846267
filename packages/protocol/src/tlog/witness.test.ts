import { describe, expect, test } from "vitest";
import { reasonOf } from "../testing/reason.ts";
import { formatCheckpoint } from "./checkpoint.ts";
import { EMPTY_ROOT } from "./merkle.ts";
import { signNote } from "./note.ts";
import { ed25519Signer, newLogKey } from "./note-key.ts";
import { formatAddCheckpoint, formatTreeSize, parseAddCheckpoint, parseTreeSize } from "./witness.ts";

const log = ed25519Signer("log.example", newLogKey());
const checkpoint = signNote(formatCheckpoint({ origin: log.name, size: 9n, root: EMPTY_ROOT }), [log]);
const proof = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const hash = Buffer.alloc(32, 1).toString("base64");

describe("add-checkpoint", () => {
  test.each([
    { oldSize: 0, proof: [], checkpoint },
    { oldSize: 7, proof, checkpoint },
    { oldSize: Number.MAX_SAFE_INTEGER, proof: Array(63).fill(proof[0]), checkpoint },
  ])("from $oldSize comes back as it was written", (request) => {
    expect(parseAddCheckpoint(Buffer.from(formatAddCheckpoint(request)))).toEqual(request);
  });

  test("is written as the specification shows it", () => {
    expect(formatAddCheckpoint({ oldSize: 7, proof: proof.slice(0, 1), checkpoint })).toBe(
      `old 7\n${hash}\n\n${checkpoint}`,
    );
  });

  test.each([
    ["nothing", ""],
    ["no old size", `\n\n${checkpoint}`],
    ["a proof first", `${hash}\nold 7\n\n${checkpoint}`],
    ["another word", `new 7\n\n${checkpoint}`],
    ["a leading zero", `old 07\n\n${checkpoint}`],
    ["a tab", `old\t7\n\n${checkpoint}`],
    ["a bad hash", `old 7\nAAAA\n\n${checkpoint}`],
    ["no empty line", `old 7\n${hash}\n`],
    ["carriage returns", `old 7\r\n\r\n${checkpoint}`],
  ])("%s: malformed", (_, body) => {
    expect(reasonOf(() => parseAddCheckpoint(body))).toBe("malformed");
  });

  test("more than 63 hashes are not read or written", () => {
    expect(reasonOf(() => parseAddCheckpoint(`old 7\n${`${hash}\n`.repeat(64)}\n${checkpoint}`))).toBe("too_large");
    const many = Array(64).fill(proof[0]);
    expect(reasonOf(() => formatAddCheckpoint({ oldSize: 7, proof: many, checkpoint }))).toBe("too_large");
  });

  test.each([-1, 0.5, Number.NaN, 2 ** 53])("the old size %d is not written", (oldSize) => {
    expect(reasonOf(() => formatAddCheckpoint({ oldSize, proof: [], checkpoint }))).toBe("malformed");
  });
});

describe("the answer 409", () => {
  test("is a size on a line", () => {
    expect(parseTreeSize(formatTreeSize(20_852_163))).toBe(20_852_163);
    expect(formatTreeSize(0)).toBe("0\n");
  });

  test.each(["", "\n", "7", "07\n", "7\n\n", " 7\n", "7\r\n", "-1\n", "seven\n"])("%j: malformed", (body) => {
    expect(reasonOf(() => parseTreeSize(body))).toBe("malformed");
  });
});
