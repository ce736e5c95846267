import { readFileSync } from "node:fs";
import { CLIENT_TUNNEL_PATH } from "@hoopish/protocol";
import { dialTunnel, type Tunnel } from "@hoopish/tunnel";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { World } from "../world/world.ts";

let world: World;
let token: string;
beforeAll(async () => {
  world = await World.start();
  await world.signIn("audit");
  token = await world.idp.mintAccessToken("scientist@bank.example");
});
afterAll(() => world?.close());

const rssMiB = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;

async function openSession(tunnel: Tunnel): Promise<string> {
  return new Promise((resolve, reject) => {
    const ask = { ":kind": "session.open", connection: "chat", host: "test", client: "test/1" };
    tunnel.open(ask, {
      onHeaders: (headers) => {
        const { session, error } = headers as { session?: { id: string }; error?: { message: string } };
        if (session !== undefined) resolve(session.id);
        else reject(new Error(error?.message));
      },
      onData: (chunk, stream) => stream.consumed(chunk.length),
      onEnd: () => undefined,
      onReset: (error) => reject(error),
    });
  });
}

const dial = (): Promise<Tunnel> =>
  dialTunnel(world.serverUrl.replace("http", "ws") + CLIENT_TUNNEL_PATH, {
    headers: { authorization: `Bearer ${token}` },
  });

describe("sessions", () => {
  it("a thousand opened and dropped leave nothing behind", async () => {
    const before = rssMiB(world.server.pid);
    for (let round = 0; round < 20; round++) {
      const tunnels = await Promise.all(Array.from({ length: 50 }, dial));
      await Promise.all(tunnels.map(openSession));
      for (const [i, tunnel] of tunnels.entries()) {
        // Half leave in order, half vanish.
        if (i % 2 === 0) tunnel.close();
        else tunnel.terminate();
      }
      await Promise.all(tunnels.map((tunnel) => tunnel.closed));
    }
    const live = async (): Promise<number> => {
      const { stdout } = await world.cli("audit", ["sessions", "list", "--json"]);
      return (JSON.parse(stdout) as { sessions: unknown[] }).sessions.length;
    };
    const endMs = Date.now() + 5_000;
    while ((await live()) > 0 && Date.now() < endMs) await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await live()).toBe(0);
    expect(rssMiB(world.server.pid) - before).toBeLessThan(60);
    const past = await world.cli("audit", ["audit", "export", "--since", "1h", "--format", "jsonl"]);
    const types = past.stdout
      .split("\n")
      .filter((line) => line.includes('"session.'))
      .map((line) => (JSON.parse(line) as { record: { type: string } }).record.type);
    expect(types.filter((type) => type === "session.open").length).toBe(1_000);
    expect(types.filter((type) => type === "session.close").length).toBe(1_000);
  }, 120_000);

  it("of others are not listed", async () => {
    const tunnel = await dial();
    const session = await openSession(tunnel);
    await world.signIn("risk1");
    const mine = await world.cli("risk1", ["sessions", "list", "--json"]);
    expect(JSON.parse(mine.stdout)).toEqual({ sessions: [] });
    expect((await world.cli("risk1", ["sessions", "show", session])).code).toBe(1);
    expect((await world.cli("audit", ["sessions", "show", session])).code).toBe(0);
    tunnel.close();
  });

  it("carry no stream of another tunnel", async () => {
    const [mine, other] = await Promise.all([dial(), dial()]);
    const session = await openSession(mine);
    await openSession(other);
    const reset = await new Promise((resolve) => {
      other.open(
        { ":kind": "tcp", session },
        { onData: () => resolve("data"), onEnd: () => resolve("end"), onReset: (error) => resolve(error.reason) },
      );
    });
    expect(reset).toBe("no such session");
    mine.close();
    other.close();
  });

  it("do not change hands: a renewal with somebody else's token is refused", async () => {
    const tunnel = await dial();
    await openSession(tunnel);
    const stolen = await world.idp.mintAccessToken("platform@bank.example");
    const reply = await new Promise<object>((resolve) => {
      tunnel.open(
        { ":kind": "auth.renew", token: stolen },
        {
          onHeaders: (headers) => resolve(headers),
          onData: () => undefined,
          onEnd: () => undefined,
          onReset: () => undefined,
        },
      );
    });
    expect(reply).toMatchObject({ error: { code: "access_denied" } });
    tunnel.close();
  });
});
