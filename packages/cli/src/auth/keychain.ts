import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { HoopishError } from "@hoopish/protocol";
import type { World } from "../world.ts";
import type { KeychainReply, KeychainRequest } from "./keychain-child.ts";
import type { Vault } from "./vault.ts";

/** How long the keychain's service may take to answer anything at all. */
const PROBE_MS = 2_000;
/** How long a person has for the system's "unlock your keychain" window. */
const UNLOCK_MS = 60_000;
/** Node itself may be slow to start on a busy machine; that time is not the keychain's. */
const START_MS = 10_000;

export type KeychainState = { readonly usable: true } | { readonly usable: false; readonly why: string };

type Machine = Pick<World, "env" | "execPath" | "platform">;

/** Whether tokens can be kept: the service answers within 2 s and takes a secret (a locked one may ask the person). */
export async function probeKeychain(machine: Machine): Promise<KeychainState> {
  try {
    const reply = await call(machine, { op: "probe" });
    return reply.ok ? { usable: true } : { usable: false, why: reply.message };
  } catch (error) {
    return { usable: false, why: (error as Error).message };
  }
}

/** Tokens in the operating system's keychain: macOS Keychain, Windows Credential Manager, Linux Secret Service. */
export function createKeychainVault(machine: Machine, server: string): Vault {
  const ask = async (request: KeychainRequest): Promise<KeychainReply & { readonly ok: true }> => {
    let why: string;
    try {
      const reply = await call(machine, request);
      if (reply.ok) return reply;
      why = reply.message;
    } catch (error) {
      why = (error as Error).message;
    }
    throw new HoopishError("configuration", `the keychain cannot be used: ${why}`, {
      hint: "unlock it, or hoopish doctor; on a machine without one: hoopish login --insecure-storage",
    });
  };
  return {
    kind: "keychain",
    read: async () => (await ask({ op: "read", account: server })).secret ?? undefined,
    write: async (secret) => void (await ask({ op: "write", account: server, secret })),
    remove: async () => (await ask({ op: "remove", account: server })).existed ?? false,
  };
}

/** Runs keychain-child for one request. Each line that it prints moves the time limit on; the last one is the answer. */
function call(machine: Machine, request: KeychainRequest): Promise<KeychainReply> {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const program = fileURLToPath(new URL(`./keychain-child.${extension}`, import.meta.url));
  return new Promise((resolve, reject) => {
    const child = spawn(machine.execPath, [program], {
      env: { ...machine.env, NODE_OPTIONS: "" },
      stdio: ["pipe", "pipe", "ignore"],
      // A group of its own: Ctrl-C on the terminal must not end it between a refresh and the writing of its result.
      detached: machine.platform !== "win32",
      windowsHide: true,
    });
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      child.removeAllListeners();
      child.on("error", () => {});
      child.kill("SIGKILL");
      finish();
    };
    const fail = (why: string): void => settle(() => reject(new Error(why)));
    const within = (ms: number, why: string): NodeJS.Timeout => setTimeout(() => fail(why), ms);
    let timer = within(START_MS, "its helper process does not start");
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
      for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n")) {
        const line = text.slice(0, end);
        text = text.slice(end + 1);
        clearTimeout(timer);
        if (line === "started" && request.op === "probe") timer = within(PROBE_MS, "it did not answer within 2 s");
        else if (line === "started" || line === "answers") timer = within(UNLOCK_MS, "it was not unlocked");
        else return settle(() => resolve(JSON.parse(line) as KeychainReply));
      }
    });
    child.on("error", (error) => fail(error.message));
    child.on("close", (code) => fail(`its helper process ended (${code ?? "killed"})`));
    child.stdin.on("error", () => {});
    child.stdin.end(JSON.stringify(request));
  });
}
