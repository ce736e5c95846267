import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  encodeRecord,
  formatTlogProof,
  inclusionProof,
  leafHash,
  type NodeReader,
  newCallId,
  nodeHash,
  type RecordDraft,
} from "@hoopish/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Gateway, json, sendError } from "../testing/gateway.ts";
import { logRoutes, TestLog } from "../testing/log.ts";
import { type Finished, runCli, tempDir } from "../testing/world.ts";

const CALL = newCallId();
const decided = (call = CALL, model = "llama\u001b[31m"): string =>
  encodeRecord(
    {
      type: "call.decided",
      actor: { sub: "s-1", iss: "https://idp", name: "scientist@bank.example", groups_hash: "", kind: "human" },
      call,
      connection: "chat",
      protocol: "http",
      method: "POST",
      path: "/v1/chat/completions",
      operation: { kind: "chat", model },
      verdict: "allow",
      rule: "scientists",
      policy: "p".repeat(64),
    } as RecordDraft,
    { id: "id", time: "2026-11-23T08:00:00.000Z", src: { replica: "r", boot: "b", n: 0 } },
  );

/** Leaves beside a TestLog, which keeps their hashes. */
class Leaves {
  readonly log: TestLog;
  readonly texts: string[] = [];

  constructor(texts: readonly string[], log = new TestLog()) {
    this.log = log;
    this.append(...texts);
  }

  append(...texts: readonly string[]): this {
    this.texts.push(...texts);
    this.log.append(...texts);
    return this;
  }

  readonly node: NodeReader = (level, index) =>
    level === 0
      ? leafHash(Buffer.from(this.texts[index] as string))
      : nodeHash(this.node(level - 1, 2 * index), this.node(level - 1, 2 * index + 1));

  reply(index: number): { index: number; leaf: string; vkey: string; proof: string } {
    const proof = inclusionProof(index, this.texts.length, this.node);
    return {
      index,
      leaf: this.texts[index] as string,
      vkey: this.log.signer.vkey,
      proof: formatTlogProof({ index, proof, checkpoint: this.log.checkpoint() }),
    };
  }
}

let gateway: Gateway;
let configDir: string;
let leaves: Leaves;
let reply: (() => object) | undefined;

beforeEach(async () => {
  configDir = tempDir();
  leaves = new Leaves(["0", "1", decided(), "3", "4"]);
  reply = () => leaves.reply(2);
  gateway = await Gateway.start({
    discovery: { log: leaves.log.announced },
    routes: {
      ...logRoutes(() => leaves.log),
      [`GET /api/v1/audit/calls/${CALL}/receipt`]: (_, response) =>
        reply === undefined ? sendError(response, "not_found", "no such call") : json(response, reply()),
    },
  });
});
afterEach(() => gateway.close());

const cli = (...argv: string[]): Promise<Finished> =>
  runCli(["audit", "receipt", ...argv], { env: { HOOPISH_TOKEN: "t", HOOPISH_SERVER: gateway.url }, configDir });
/** As somebody who has nothing but the file and the key. */
const check = (...argv: string[]): Promise<Finished> => runCli(["audit", "receipt", "--check", ...argv]);

async function kept(): Promise<string> {
  const file = join(tempDir(), "receipt.json");
  expect(await cli(CALL, "-o", file)).toMatchObject({ code: 0 });
  return file;
}

describe("hoopish audit receipt", () => {
  it("keeps what a third party needs, and tells what it says, harmlessly", async () => {
    const file = join(tempDir(), "receipt.json");
    const { code, stdout } = await cli(CALL, "-o", file);
    expect(code).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const { index: _, ...receipt } = leaves.reply(2);
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ v: 1, ...receipt });
    for (const said of ["scientist@bank.example", "llama\\x1b[31m", "allow by rule scientists", "record 2 of the 5"]) {
      expect(stdout).toContain(said);
    }
    expect(stdout.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
    expect((await cli(CALL, "-o", file)).code).toBe(1);
    expect((await cli(CALL, "-o", file, "--force")).code).toBe(0);
    const printed = await cli(CALL, "--json");
    expect(JSON.parse(printed.stdout)).toEqual({ v: 1, ...receipt });
  });

  it("asks for the record that is wanted, and pins the checkpoint that came with it", async () => {
    reply = () => leaves.append("5").reply(2);
    expect((await cli(CALL, "--type", "call.decided")).code).toBe(0);
    const pinned = await runCli(["audit", "pin", "--json"], {
      env: { HOOPISH_TOKEN: "t", HOOPISH_SERVER: gateway.url },
      configDir,
    });
    expect(JSON.parse(pinned.stdout)).toMatchObject({ size: 6 });
    expect((await cli(CALL, "--type", "call.other")).code).toBe(3);
    expect((await cli("ses_1")).code).toBe(3);
    expect((await cli()).code).toBe(3);
    reply = undefined;
    expect((await cli(CALL)).code).toBe(1);
  });

  it.each<readonly [string, () => object, string]>([
    ["of another call", () => leaves.append(decided(newCallId())).reply(5), "another record"],
    ["of another leaf", () => ({ ...leaves.reply(2), leaf: decided(CALL, "other") }), "proves nothing"],
    [
      "of another place",
      () => ({ ...leaves.reply(2), proof: leaves.reply(2).proof.replace("index 2", "index 3") }),
      "proves nothing",
    ],
    ["of a foreign key of the same name", () => new Leaves(leaves.texts).reply(2), "proves nothing"],
    [
      "of another history, signed with the log's own key",
      () => {
        leaves.append("5");
        return new Leaves(["x", ...leaves.texts.slice(1)], new TestLog(leaves.log.signer)).reply(2);
      },
      "do not begin with the",
    ],
    [
      "of a log that went back",
      () => new Leaves(leaves.texts.slice(0, 3), new TestLog(leaves.log.signer)).reply(2),
      "the log went back",
    ],
    [
      "that is cut",
      () => ({ ...leaves.reply(2), proof: leaves.reply(2).proof.split("\n").toSpliced(2, 1).join("\n") }),
      "proves nothing",
    ],
  ])("takes no receipt %s", async (_, bad, message) => {
    const file = join(tempDir(), "receipt.json");
    reply = bad;
    const { code, stderr } = await cli(CALL, "-o", file, "--json");
    const { error } = JSON.parse(stderr) as { error: { code: string; message: string } };
    expect({ code, error: error.code }).toEqual({ code: 1, error: "log_inconsistent" });
    expect(error.message).toContain(message);
    expect(() => readFileSync(file)).toThrow();
  });
});

describe("hoopish audit receipt --check", () => {
  it("verifies with the file and the key alone, and tells scripts", async () => {
    const file = await kept();
    const { vkey } = leaves.log.signer;
    const { code, stdout } = await check(file, "--key", vkey);
    expect(code).toBe(0);
    expect(stdout).toContain("record 2 of the 5");
    const scripted = await check(file, "--key", vkey, "--json");
    expect(JSON.parse(scripted.stdout)).toMatchObject({
      verified: true,
      index: 2,
      size: 5,
      record: { call: CALL, verdict: "allow", operation: { model: "llama\u001b[31m" } },
    });
    expect((await runCli(["audit", "receipt", CALL, "--check", file, "--key", vkey])).code).toBe(0);
    const other = await runCli(["audit", "receipt", newCallId(), "--check", file, "--key", vkey, "--json"]);
    expect(other).toMatchObject({ code: 1, stdout: expect.stringContaining("another_call") });
  });

  it("takes nothing that was changed, and no other key", async () => {
    const file = await kept();
    const { vkey } = leaves.log.signer;
    const good = readFileSync(file, "utf8");
    const verdict = async (text: string, key = vkey) => {
      writeFileSync(file, text);
      const { code, stdout } = await check(file, "--key", key, "--json");
      return { code, reason: (JSON.parse(stdout) as { reason?: string }).reason };
    };
    expect(await verdict(good, new TestLog().signer.vkey)).toEqual({ code: 1, reason: "unsigned" });
    expect(await verdict(good.replace("scientist@", "contractor@"))).toEqual({ code: 1, reason: "unproven" });
    expect(await verdict(good.replace("index 2", "index 1"))).toEqual({ code: 1, reason: "unproven" });
    expect(await verdict(good.slice(0, -20))).toEqual({ code: 1, reason: "malformed" });
    expect(await verdict(JSON.stringify({ v: 1, leaf: "{}" }))).toEqual({ code: 1, reason: "malformed" });
    // The key that is named in the file is nobody's.
    const foreign = new Leaves(leaves.texts).reply(2);
    expect(await verdict(JSON.stringify({ v: 1, ...foreign }))).toEqual({ code: 1, reason: "unsigned" });
    expect(await verdict(good)).toEqual({ code: 0, reason: undefined });
  });

  it("tells a mistake in the command from a bad receipt", async () => {
    const file = await kept();
    expect(await check(file)).toMatchObject({ code: 3, stderr: expect.stringContaining("--key VKEY") });
    expect((await check(file, "--key", "x+y")).code).toBe(3);
    expect((await check(`${file}.no`, "--key", leaves.log.signer.vkey)).code).toBe(3);
    expect((await cli(CALL, "--key", leaves.log.signer.vkey)).code).toBe(3);
    expect((await check(file, "--key", leaves.log.signer.vkey, "-o", "x")).code).toBe(3);
  });
});
