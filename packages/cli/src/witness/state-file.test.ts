import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { cosigner, newLogKey, parseVkey } from "@hoopish/protocol";
import { beforeEach, describe, expect, it } from "vitest";
import { SampleLog } from "../testing/sample-log.ts";
import { tempDir } from "../testing/world.ts";
import { createPrivateFile } from "./private-file.ts";
import { StateFile } from "./state-file.ts";
import { Witness } from "./witness.ts";

const log = new SampleLog(50);
const signer = cosigner("bank.example/audit", newLogKey(), () => 1_800_000_000);
const uid = process.getuid?.();

describe("StateFile", () => {
  let folder = "";
  let path = "";
  const grow = (from: number, to: number): void => {
    const witness = new Witness(
      signer,
      new Map([[log.origin, [parseVkey(log.signer.vkey)]]]),
      StateFile.open(path, uid),
    );
    expect(witness.add(Buffer.from(log.request(from, to))).answer.status).toBe(200);
  };
  const open = (): StateFile => StateFile.open(path, uid);

  beforeEach(() => {
    folder = tempDir();
    path = join(folder, "state");
    StateFile.create(path, signer.vkey);
  });

  it("is there whole, for its owner alone, and nothing is left beside it", () => {
    grow(0, 20);
    grow(20, 50);
    expect(readdirSync(folder)).toEqual(["state"]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(open().get(log.origin)).toMatchObject({ size: 50, root: log.root(50) });
  });

  it("is never begun anew", () => {
    expect(() => StateFile.create(path, signer.vkey)).toThrow("is there already");
    expect(() => StateFile.open(join(folder, "other"), uid)).toThrow("there is no state");
    expect(existsSync(join(folder, "other"))).toBe(false);
  });

  it.each<[string, (text: string) => string]>([
    ["a size that was changed", (text) => text.replace("\\n20\\n", "\\n19\\n")],
    [
      "a root that was changed",
      (text) => text.replace(log.root(20).toString("base64"), log.root(19).toString("base64")),
    ],
    ["a note without the witness's signature", (text) => text.replace(/— bank[^"]*/, "")],
    ["a note under another log's name", (text) => text.replace(`"${log.origin}":`, '"other.example":')],
    ["another witness's key", (text) => text.replace(signer.vkey, cosigner("x", newLogKey(), () => 1).vkey)],
    ["something more", (text) => text.replace('"v": 1', '"v": 1, "more": true')],
    ["half of it", (text) => text.slice(0, text.length / 2)],
    ["nothing", () => ""],
  ])("is not used with %s", (_what, spoil) => {
    grow(0, 20);
    const text = readFileSync(path, "utf8");
    const spoilt = spoil(text);
    expect(spoilt).not.toBe(text);
    writeFileSync(path, spoilt);
    expect(open).toThrow("is not what the witness has written");
  });

  it.skipIf(uid === undefined)("is not used when others can write it, or its folder, or it is a link", () => {
    chmodSync(path, 0o660);
    expect(open).toThrow("can be written by other users");
    chmodSync(path, 0o600);
    chmodSync(folder, 0o777);
    expect(open).toThrow("can be written by other users");
    chmodSync(folder, 0o700);
    const link = join(folder, "link");
    symlinkSync(path, link);
    expect(() => StateFile.open(link, uid)).toThrow("cannot be read (ELOOP)");
    mkdirSync(join(folder, "dir"));
    expect(() => StateFile.open(join(folder, "dir"), uid)).toThrow("is not a file of ours");
  });

  it("a private file takes no other's place, and leaves no draft", () => {
    expect(() => createPrivateFile(path, "x")).toThrow("never overwritten");
    expect(readdirSync(folder)).toEqual(["state"]);
  });
});
