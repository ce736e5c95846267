/**
 * The process that talks to the operating system's keychain, run by keychain.ts: one request in on stdin, one answer
 * out on stdout. It is a process of its own because the calls block: a D-Bus daemon that never answers stops Node's
 * event loop inside the constructor of an entry, and then neither a time limit nor SIGINT is heard. A process can be
 * killed. Secrets go through pipes, never through arguments or the environment.
 */
import { randomBytes } from "node:crypto";
import { AsyncEntry } from "@napi-rs/keyring";
import { deleteSecret, type KeychainEntries, readSecret, writeSecret } from "./keychain-entries.ts";

export type KeychainRequest =
  | { readonly op: "probe" }
  | { readonly op: "read" | "remove"; readonly account: string }
  | { readonly op: "write"; readonly account: string; readonly secret: string };
export type KeychainReply =
  | { readonly ok: true; readonly secret?: string | null; readonly existed?: boolean }
  | { readonly ok: false; readonly message: string };

const SERVICE = "hoopish";

/**
 * On Linux the Secret Service is named: without a name the library falls back, silently, to the kernel's keyring, which
 * forgets everything at a reboot and is shared with whoever shares the session.
 */
const entry = (account: string): AsyncEntry => new AsyncEntry(SERVICE, account, { linux: { store: "secret-service" } });

const entries: KeychainEntries = {
  get: (account) => entry(account).getPassword(),
  set: (account, secret) => entry(account).setPassword(secret),
  delete: (account) => entry(account).deletePassword(),
};

async function answer(request: KeychainRequest): Promise<KeychainReply> {
  switch (request.op) {
    case "probe": {
      // A locked keychain answers a search and refuses only a write, and then a login would end in nothing.
      const probe = `probe-${randomBytes(4).toString("hex")}`;
      await entries.get(probe);
      process.stdout.write("answers\n");
      await entries.set(probe, "probe");
      await entries.delete(probe);
      return { ok: true };
    }
    case "read":
      return { ok: true, secret: await readSecret(entries, request.account) };
    case "write":
      await writeSecret(entries, request.account, request.secret);
      return { ok: true };
    case "remove":
      return { ok: true, existed: await deleteSecret(entries, request.account) };
  }
}

process.stdout.write("started\n");
const input: Buffer[] = [];
for await (const chunk of process.stdin) input.push(chunk as Buffer);
try {
  const reply = await answer(JSON.parse(Buffer.concat(input).toString("utf8")) as KeychainRequest);
  process.stdout.write(`${JSON.stringify(reply)}\n`);
} catch (error) {
  const reply: KeychainReply = { ok: false, message: error instanceof Error ? error.message : String(error) };
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
