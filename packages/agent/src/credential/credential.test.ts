import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { commandSource } from "./command-source.ts";
import { applyCredential, createCredential } from "./credential.ts";
import { fileSource } from "./file-source.ts";
import { CredentialError } from "./secret-source.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "agent-credential-"));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});
/** Moves the clock that sources look at. */
function later(ms: number): void {
  const now = performance.now();
  vi.spyOn(performance, "now").mockReturnValue(now + ms);
}

describe("where a credential goes", () => {
  it("header: as it is", () => {
    const { header, query } = applyCredential({ kind: "header", name: "x-api-key" }, "key-1");
    expect([header, query]).toEqual([["x-api-key", "key-1"], undefined]);
  });

  it("basic: user and password as RFC 7617 says", () => {
    const { header } = applyCredential({ kind: "basic", user: "Aladdin" }, "open sesame");
    expect(header).toEqual(["authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]);
  });

  it("query: percent-encoded", () => {
    const { header, query } = applyCredential({ kind: "query", name: "api key" }, "a&b=c d");
    expect([header, query]).toEqual([undefined, { name: "api key", pair: "api%20key=a%26b%3Dc%20d" }]);
  });

  it.each(["a\r\nb", "a\nb", "a\0b", "\u0100", ""])("a header takes no %j, and the error does not say it", (secret) => {
    const attempt = (): unknown => applyCredential({ kind: "header", name: "x" }, secret);
    expect(attempt).toThrow(CredentialError);
    if (secret !== "") expect(attempt).not.toThrow(secret);
  });
});

describe("an echo", () => {
  const header = applyCredential({ kind: "header", name: "authorization" }, "Bearer abcdef123");
  it("is found whole, in part, and without its scheme", () => {
    for (const text of ["Bearer abcdef123", "abcdef123", "key=abcdef123; path=/"]) {
      expect(header.isEchoedIn(text)).toBe(true);
    }
    for (const text of ["Bearer", "abcdef12", "", "Bearer other"]) expect(header.isEchoedIn(text)).toBe(false);
  });
  it("is found encoded", () => {
    expect(applyCredential({ kind: "query", name: "k" }, "se/cret").isEchoedIn("http://h/?k=se%2Fcret")).toBe(true);
    const basic = applyCredential({ kind: "basic", user: "u" }, "secret");
    expect(basic.isEchoedIn(Buffer.from("u:secret").toString("base64"))).toBe(true);
    expect(basic.isEchoedIn("it is secret!")).toBe(true);
  });
  it("of a short secret is a whole value only, or every header would be one", () => {
    const short = applyCredential({ kind: "basic", user: "u" }, "a");
    expect([short.isEchoedIn("a"), short.isEchoedIn("application/json")]).toEqual([true, false]);
  });
});

describe("a file", () => {
  it("is read once, and again when it was replaced", async () => {
    const file = join(folder, "key");
    writeFileSync(file, "one\n");
    const source = fileSource(["Bearer ", { file }]);
    expect(await source.read()).toBe("Bearer one");
    expect(source.read()).toBe("Bearer one");
    writeFileSync(join(folder, "next"), "two\n");
    renameSync(join(folder, "next"), file);
    expect(source.read()).toBe("Bearer one");
    later(1_001);
    expect(await source.read()).toBe("Bearer two");
  });

  it("is followed through the symbolic links that Kubernetes swaps", async () => {
    for (const version of ["v1", "v2"]) {
      mkdirSync(join(folder, version));
      writeFileSync(join(folder, version, "key"), version);
    }
    symlinkSync("v1", join(folder, "..data"));
    symlinkSync(join("..data", "key"), join(folder, "key"));
    const source = fileSource([{ file: join(folder, "key") }]);
    expect(await source.read()).toBe("v1");
    symlinkSync("v2", join(folder, "..next"));
    renameSync(join(folder, "..next"), join(folder, "..data"));
    later(1_001);
    expect(await source.read()).toBe("v2");
  });

  it("is looked at once for many readers", async () => {
    const file = join(folder, "key");
    writeFileSync(file, "one");
    const source = fileSource([{ file }]);
    expect(source.read()).toBe(source.read());
    expect(await source.read()).toBe("one");
  });

  it("that is gone, empty or too large is a failure that quotes nothing", async () => {
    const file = join(folder, "key");
    const source = fileSource([{ file }]);
    await expect(source.read()).rejects.toThrow(`credential file ${file} cannot be read (ENOENT)`);
    writeFileSync(file, "\n");
    await expect(source.read()).rejects.toThrow("is empty");
    writeFileSync(file, "x".repeat(65 * 1024));
    await expect(source.read()).rejects.toThrow("larger than 64 KiB");
    writeFileSync(file, "good");
    expect(await source.read()).toBe("good");
    rmSync(file);
    later(1_001);
    await expect(source.read()).rejects.toThrow(CredentialError);
  });

  it("is looked at anew after a doubt", async () => {
    const file = join(folder, "key");
    writeFileSync(file, "one");
    const source = fileSource([{ file }]);
    await source.read();
    writeFileSync(file, "another");
    source.doubt();
    expect(await source.read()).toBe("another");
  });
});

describe("a command", () => {
  const counter = (): { argv: string[]; runs: () => number } => {
    const log = join(folder, "runs");
    const script = join(folder, "print-key");
    writeFileSync(log, "");
    writeFileSync(script, `#!/bin/sh\necho run >> "$1"\nprintf '%s\\n' "key-$KEY_PART"\n`);
    chmodSync(script, 0o700);
    return { argv: [script, log], runs: () => readFileSync(log, "utf8").split("\n").length - 1 };
  };
  const base = { prefix: "Bearer ", refreshMs: 60_000, timeoutMs: 5_000, env: { ...process.env, KEY_PART: "7" } };

  it("runs once for all who wait, and again when its time is over", async () => {
    const { argv, runs } = counter();
    const source = commandSource({ ...base, argv });
    expect(await Promise.all([source.read(), source.read(), source.read()])).toEqual(Array(3).fill("Bearer key-7"));
    expect(source.read()).toBe("Bearer key-7");
    expect(runs()).toBe(1);
    later(60_001);
    await source.read();
    expect(runs()).toBe(2);
  });

  it("gives its arguments to no shell", async () => {
    const source = commandSource({ ...base, prefix: "", argv: ["printf", "%s", "$(id); `id`"] });
    expect(await source.read()).toBe("$(id); `id`");
  });

  it.each([
    ["was not found", ["no-such-program-here"]],
    ["ended with exit code 3", ["sh", "-c", "echo the-secret; echo the-secret >&2; exit 3"]],
    ["printed nothing", ["true"]],
    ["did not finish within 100 ms", ["sleep", "5"]],
    ["printed more than 64 KiB", ["sh", "-c", "head -c 100000 /dev/zero"]],
  ])("that %s is a failure without its output", async (message, argv) => {
    const source = commandSource({ ...base, argv, timeoutMs: message.includes("100 ms") ? 100 : 5_000 });
    const error = await Promise.resolve(source.read()).catch((thrown: Error) => thrown);
    expect(error).toBeInstanceOf(CredentialError);
    expect((error as Error).message).toBe(`credential command ${argv[0]} ${message}`);
    expect(JSON.stringify([error, (error as Error).stack, (error as Error).cause])).not.toContain("the-secret");
  });

  it("that fails is not run for each call", async () => {
    const source = commandSource({ ...base, argv: ["false"] });
    await expect(source.read()).rejects.toThrow(CredentialError);
    expect(() => source.read()).toThrow(CredentialError);
    later(5_001);
    await expect(source.read()).rejects.toThrow(CredentialError);
  });

  it("runs again after a doubt, but not for each", async () => {
    const { argv, runs } = counter();
    const source = commandSource({ ...base, argv });
    await source.read();
    source.doubt();
    expect(await source.read()).toBe("Bearer key-7");
    expect(runs()).toBe(1);
    later(5_001);
    source.doubt();
    await source.read();
    expect(runs()).toBe(2);
  });
});

it("a credential is made anew only when its text has changed", () => {
  const parts = ["a-fixed-key"];
  const credential = createCredential(
    { place: { kind: "header", name: "x" }, source: { kind: "template", parts } },
    {},
  );
  expect(credential.current()).toBe(credential.current());
});
