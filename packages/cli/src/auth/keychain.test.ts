import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { tempDir } from "../testing/world.ts";
import { createKeychainVault, probeKeychain } from "./keychain.ts";
import { deleteSecret, type KeychainEntries, readSecret, writeSecret } from "./keychain-entries.ts";

const machine = (bus: string, more: Record<string, string> = {}) => ({
  platform: process.platform,
  execPath: process.execPath,
  env: { PATH: process.env.PATH, HOME: tempDir(), DBUS_SESSION_BUS_ADDRESS: bus, ...more },
});

function memory(): KeychainEntries & { readonly map: Map<string, string> } {
  const map = new Map<string, string>();
  return {
    map,
    get: async (account) => map.get(account) ?? null,
    set: async (account, secret) => void map.set(account, secret),
    delete: async (account) => map.delete(account),
  };
}

describe("a secret over several entries", () => {
  it.each([0, 1, 1_199, 1_200, 1_201, 9_000])("comes back whole (%i characters)", async (length) => {
    const entries = memory();
    const secret = "ä".repeat(length);
    await writeSecret(entries, "a", secret);
    expect(await readSecret(entries, "a")).toBe(secret);
    // What Windows takes: 2,560 bytes of UTF-16.
    for (const part of entries.map.values()) expect(part.length * 2).toBeLessThanOrEqual(2_560);
  });

  it("leaves nothing of a former, longer one, and nothing at all after a delete", async () => {
    const entries = memory();
    await writeSecret(entries, "a", "x".repeat(9_000));
    await writeSecret(entries, "a", "y");
    expect(entries.map.size).toBe(2);
    expect(await deleteSecret(entries, "a")).toBe(true);
    expect(entries.map.size).toBe(0);
    expect(await deleteSecret(entries, "a")).toBe(false);
  });

  it("reads the newer one when it is written in the middle of the reading", async () => {
    const entries = memory();
    await writeSecret(entries, "a", "old".repeat(1_000));
    let raced = false;
    const racing: KeychainEntries = {
      ...entries,
      get: async (account) => {
        const value = await entries.get(account);
        if (account === "a" && !raced) {
          raced = true;
          await writeSecret(entries, "a", "new".repeat(1_000));
        }
        return value;
      },
    };
    expect(await readSecret(racing, "a")).toBe("new".repeat(1_000));
  });

  it("reads nothing where a part is missing or foreign", async () => {
    const entries = memory();
    await writeSecret(entries, "a", "x".repeat(3_000));
    const part = [...entries.map.keys()].find((name) => name.endsWith(".1")) ?? "";
    entries.map.set(part, "forged");
    expect(await readSecret(entries, "a")).toBeNull();
    entries.map.set("a", "something else");
    expect(await readSecret(entries, "a")).toBeNull();
  });
});

describe.runIf(process.platform === "linux")("the probe", () => {
  it("says no where there is no bus", async () => {
    expect(await probeKeychain(machine("unix:path=/nonexistent/bus"))).toMatchObject({ usable: false });
  });

  it("gives up after 2 s on a bus that never answers, and does not block", async () => {
    const path = join(tempDir(), "bus");
    const silent = createServer(() => {}).listen(path);
    await once(silent, "listening");
    let ticks = 0;
    const clock = setInterval(() => {
      ticks += 1;
    }, 50);
    const since = performance.now();
    const state = await probeKeychain(machine(`unix:path=${path}`));
    const tookMs = performance.now() - since;
    clearInterval(clock);
    silent.close();
    expect(state).toEqual({ usable: false, why: "it did not answer within 2 s" });
    expect(tookMs).toBeGreaterThan(1_900);
    expect(tookMs).toBeLessThan(5_000);
    expect(ticks).toBeGreaterThan(20);
  });
});

/** Debian's; nothing of ours installs them. */
const [BUS, KEYRING] = ["dbus-daemon", "gnome-keyring-daemon"] as const;
const present = (program: string): boolean => spawnSync(program, ["--version"]).status === 0;

// A real Secret Service, where Debian's gnome-keyring and dbus are installed.
describe.skipIf(!present(KEYRING) || !present(BUS))("gnome-keyring", () => {
  const started: ChildProcess[] = [];
  afterEach(() => {
    for (const child of started.splice(0)) child.kill();
  });

  async function bus(unlock: boolean) {
    const dbus = spawn(BUS, ["--session", "--nofork", "--print-address=1"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    started.push(dbus);
    const [address] = (await once(dbus.stdout, "data")) as [Buffer];
    const where = machine(address.toString().trim(), { XDG_RUNTIME_DIR: tempDir() });
    const daemon = spawn(KEYRING, ["--foreground", "--components=secrets", ...(unlock ? ["--unlock"] : [])], {
      env: where.env,
      stdio: ["pipe", "ignore", "ignore"],
    });
    started.push(daemon);
    daemon.stdin.end(unlock ? "password" : "");
    return where;
  }

  it("keeps, gives back and forgets a secret of 20,000 characters", async () => {
    const where = await bus(true);
    await expect.poll(() => probeKeychain(where), { timeout: 8_000 }).toEqual({ usable: true });
    const vault = createKeychainVault(where, "https://gateway.bank.example");
    expect(await vault.read()).toBeUndefined();
    const secret = "s".repeat(20_000);
    await vault.write(secret);
    expect(await vault.read()).toBe(secret);
    expect(await vault.remove()).toBe(true);
    expect(await vault.read()).toBeUndefined();
  });

  it("is not usable while it is locked and nobody can unlock it", async () => {
    const where = await bus(false);
    const state = await probeKeychain(where);
    expect(state.usable).toBe(false);
  });
});
