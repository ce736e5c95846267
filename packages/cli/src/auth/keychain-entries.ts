/**
 * One secret over one or several keychain entries. Windows keeps at most 2,560 bytes in a credential, and a bank's
 * access token with its groups is longer; the other systems get the same layout, so that there is one to test.
 *
 * The entry named `account` is the head: `1:<generation>:<parts>:<sha256>`. Parts are written before the head, under
 * names that carry the generation, so a reader sees the old secret or the new one; a part that is missing or foreign
 * does not fit the hash and reads as nothing.
 */
import { createHash, randomBytes } from "node:crypto";

/** The few calls of a keychain that are needed; a missing entry is null. */
export interface KeychainEntries {
  get(account: string): Promise<string | null>;
  set(account: string, secret: string): Promise<void>;
  delete(account: string): Promise<boolean>;
}

/** UTF-16 on Windows: 2 bytes a unit, and a margin. */
const PART_CHARACTERS = 1_200;
const HEAD = /^1:([0-9a-f]{8}):(\d{1,3}):([0-9a-f]{64})$/;

export async function readSecret(entries: KeychainEntries, account: string): Promise<string | null> {
  let head = await entries.get(account);
  for (;;) {
    const secret = await readParts(entries, account, head);
    if (secret !== null) return secret;
    // Another command may have written a newer secret, and removed these parts, in the middle of our reading.
    const now = await entries.get(account);
    if (now === head) return null;
    head = now;
  }
}

async function readParts(entries: KeychainEntries, account: string, head: string | null): Promise<string | null> {
  const [, generation, count = "0", hash] = HEAD.exec(head ?? "") ?? [];
  if (generation === undefined) return null;
  let secret = "";
  for (let part = 0; part < Number(count); part += 1) {
    secret += (await entries.get(partName(account, generation, part))) ?? "";
  }
  return sha256(secret) === hash ? secret : null;
}

export async function writeSecret(entries: KeychainEntries, account: string, secret: string): Promise<void> {
  const before = await entries.get(account);
  const generation = randomBytes(4).toString("hex");
  const count = Math.ceil(secret.length / PART_CHARACTERS);
  for (let part = 0; part < count; part += 1) {
    const from = part * PART_CHARACTERS;
    await entries.set(partName(account, generation, part), secret.slice(from, from + PART_CHARACTERS));
  }
  await entries.set(account, `1:${generation}:${count}:${sha256(secret)}`);
  await deleteParts(entries, account, before);
}

export async function deleteSecret(entries: KeychainEntries, account: string): Promise<boolean> {
  const before = await entries.get(account);
  const existed = await entries.delete(account);
  await deleteParts(entries, account, before);
  return existed;
}

/** Leaves nothing in the keychain that no head names. */
async function deleteParts(entries: KeychainEntries, account: string, head: string | null): Promise<void> {
  const [, generation, count = "0"] = HEAD.exec(head ?? "") ?? [];
  if (generation === undefined) return;
  for (let part = 0; part < Number(count); part += 1) await entries.delete(partName(account, generation, part));
}

const partName = (account: string, generation: string, part: number): string => `${account}#${generation}.${part}`;
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
