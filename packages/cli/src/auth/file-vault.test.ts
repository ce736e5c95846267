import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { tempDir } from "../testing/world.ts";
import { createFileVault } from "./file-vault.ts";

const uid = process.getuid?.();
const open = (dir: string) => createFileVault(dir, "https://gateway.bank.example", uid);
const fileIn = (dir: string): string => join(dir, readdirSync(dir)[0] ?? "");

it("keeps a secret in a 0600 file of a 0700 folder, whatever the umask", async () => {
  const before = process.umask(0);
  try {
    const dir = join(tempDir(), "deep", "er");
    await open(dir).write("secret");
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(statSync(fileIn(dir)).mode & 0o777).toBe(0o600);
    expect(await open(dir).read()).toBe("secret");
  } finally {
    process.umask(before);
  }
});

it("replaces the secret in one step, and leaves no draft", async () => {
  const dir = tempDir();
  const vault = open(dir);
  await vault.write("a");
  await Promise.all(Array.from({ length: 20 }, (_, n) => vault.write(`secret-${n}`)));
  expect(await vault.read()).toMatch(/^secret-\d+$/);
  expect(readdirSync(dir)).toHaveLength(1);
});

it("forgets", async () => {
  const vault = open(tempDir());
  expect(await vault.read()).toBeUndefined();
  await vault.write("x");
  expect(await vault.remove()).toBe(true);
  expect(await vault.remove()).toBe(false);
  expect(await vault.read()).toBeUndefined();
});

it("keeps servers apart", async () => {
  const dir = tempDir();
  await createFileVault(dir, "https://a", uid).write("a");
  await createFileVault(dir, "https://b", uid).write("b");
  expect(await createFileVault(dir, "https://a", uid).read()).toBe("a");
});

it.each([0o640, 0o604, 0o620, 0o660])("does not use a file that others may touch (%o)", async (mode) => {
  const dir = tempDir();
  await open(dir).write("x");
  chmodSync(fileIn(dir), mode);
  await expect(open(dir).read()).rejects.toMatchObject({
    code: "configuration",
    hint: expect.stringContaining("chmod"),
  });
});

it("does not follow a link, and does not read a folder", async () => {
  const dir = tempDir();
  await open(dir).write("x");
  const path = fileIn(dir);
  const elsewhere = join(tempDir(), "other");
  writeFileSync(elsewhere, "theirs", { mode: 0o600 });
  await open(dir).remove();
  symlinkSync(elsewhere, path);
  await expect(open(dir).read()).rejects.toMatchObject({ message: expect.stringContaining("is a link") });
  // A write replaces the link, and not what it points to.
  await open(dir).write("mine");
  expect(readFileSync(elsewhere, "utf8")).toBe("theirs");
  await open(dir).remove();
  mkdirSync(path, { mode: 0o700 });
  await expect(open(dir).read()).rejects.toMatchObject({ code: "configuration" });
});

it("does not use a file, or a folder, of another user", async () => {
  const dir = tempDir();
  await open(dir).write("x");
  const stranger = createFileVault(dir, "https://gateway.bank.example", (uid ?? 0) + 1);
  await expect(stranger.read()).rejects.toMatchObject({ message: expect.stringContaining("another user") });
  await expect(stranger.write("y")).rejects.toMatchObject({ message: expect.stringContaining("another user") });
});

it("does not write into a folder that others may write to", async () => {
  const dir = tempDir();
  chmodSync(dir, 0o777);
  await expect(open(dir).write("x")).rejects.toMatchObject({ hint: expect.stringContaining("chmod 700") });
});
