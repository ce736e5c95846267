import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { startModelServer } from "@hoopish/fixtures";
import { isAgentId } from "@hoopish/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type AgentPorts, type RunningAgent, startAgent } from "./agent.ts";
import { loadAgentKey, loadOrCreateAgentKey } from "./agent-key.ts";
import type { AgentConfig } from "./config/config.ts";
import { join } from "./join.ts";
import { send, until } from "./testing/call.ts";
import { startGateway, type TestGateway } from "./testing/gateway.ts";
import { bearer, connectionTo, memoryLog } from "./testing/tunnel-pair.ts";
import { httpUpstream } from "./testing/upstreams.ts";

let folder: string;
const closing: (() => unknown)[] = [];
beforeEach(() => {
  folder = mkdtempSync(joinPath(tmpdir(), "agent-"));
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  rmSync(folder, { recursive: true });
});

async function gatewayFor(...args: Parameters<typeof startGateway>): Promise<TestGateway> {
  const gateway = await startGateway(...args);
  closing.push(gateway.close);
  return gateway;
}
function configFor(gateway: TestGateway, over: Partial<AgentConfig> = {}): AgentConfig {
  const keyFile = joinPath(folder, "agent.key");
  gateway.keys.add(loadOrCreateAgentKey(keyFile).key.publicKey);
  return {
    server: gateway.url,
    serverCa: undefined,
    name: "edge-1",
    keyFile,
    connections: [connectionTo("http://127.0.0.1:1")],
    drainMs: 5_000,
    logLevel: "info",
    ...over,
  };
}
const FAST = { minDelayMs: 10, maxDelayMs: 50 };
function startIn(
  config: AgentConfig,
  ports: Partial<AgentPorts> = {},
): RunningAgent & { log: ReturnType<typeof memoryLog> } {
  const log = memoryLog();
  const agent = startAgent(config, { log, env: {}, reconnect: FAST, ...ports });
  closing.push(() => agent.close(0));
  return Object.assign(agent, { log });
}

describe("joining", () => {
  it("makes a key for its owner only, and hands in the public half", async () => {
    const gateway = await gatewayFor();
    const token = "one-time-token-0123456789";
    gateway.tokens.set(token, "edge-1");
    const keyFile = joinPath(folder, "new.key");
    const options = { server: gateway.url, serverCa: undefined, env: {}, name: "edge-1", keyFile, token };
    const result = await join(options);
    expect(isAgentId(result.agent.id)).toBe(true);
    expect(result).toMatchObject({ originMatches: true, keyCreated: true, origin: gateway.origin });
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    expect([...gateway.keys]).toEqual([loadAgentKey(keyFile).publicKey]);

    await expect(join(options)).rejects.toMatchObject({ code: "unauthenticated", hint: "ask for a new one" });
    const kept = readFileSync(keyFile, "utf8");
    gateway.tokens.set("another-token-0123456789", "edge-1");
    expect(await join({ ...options, token: "another-token-0123456789" })).toMatchObject({ keyCreated: false });
    expect(readFileSync(keyFile, "utf8")).toBe(kept);
  });

  it("never writes over a file that is no key", async () => {
    const gateway = await gatewayFor();
    const keyFile = joinPath(folder, "notes.txt");
    writeFileSync(keyFile, "something of somebody's");
    const options = {
      server: gateway.url,
      serverCa: undefined,
      env: {},
      name: "edge-1",
      keyFile,
      token: "t".repeat(20),
    };
    await expect(join(options)).rejects.toMatchObject({ code: "configuration" });
    expect(readFileSync(keyFile, "utf8")).toBe("something of somebody's");
  });

  it("tells when the server calls itself otherwise", async () => {
    const gateway = await gatewayFor({ claimedOrigin: "https://gateway.bank.example" });
    gateway.tokens.set("one-time-token-0123456789", "edge-1");
    const options = {
      server: gateway.url,
      serverCa: undefined,
      env: {},
      name: "edge-1",
      token: "one-time-token-0123456789",
    };
    const result = await join({ ...options, keyFile: joinPath(folder, "k") });
    expect(result).toMatchObject({ originMatches: false, origin: "https://gateway.bank.example" });
  });

  it("fails in words when there is no server", async () => {
    const options = { server: "ws://127.0.0.1:1", serverCa: undefined, env: {}, name: "edge-1", token: "t".repeat(20) };
    await expect(join({ ...options, keyFile: joinPath(folder, "k") })).rejects.toMatchObject({
      code: "unreachable",
      message: "cannot reach http://127.0.0.1:1 (ECONNREFUSED)",
    });
  });
});

describe("a running agent", () => {
  it("proves itself, says what it serves, and carries calls", async () => {
    await using model = await startModelServer();
    const gateway = await gatewayFor();
    const connections = [connectionTo(model.url, { credential: bearer(model.credential) })];
    const agent = startIn(configFor(gateway, { connections }));
    await agent.connected();
    const tunnel = await gateway.tunnel();
    expect(JSON.parse((await send(tunnel, { path: "/test/echo" })).body.toString()).credentialRight).toBe(true);
    expect(gateway.hellos).toEqual([
      { ":kind": "agent.hello", version: "0.1.0", connections: [{ name: "model", protocol: "http" }] },
    ]);
    expect(agent.state).toEqual({ kind: "connected" });
    expect(JSON.stringify([gateway.hellos, agent.log.lines])).not.toContain(model.credential);
  });

  it("is another instance each time it starts", async () => {
    const gateway = await gatewayFor();
    for (let start = 0; start < 2; start++) {
      const agent = startIn(configFor(gateway));
      await agent.connected();
      await agent.close();
    }
    expect(new Set(gateway.instances).size).toBe(2);
  });

  it("dials again, with a new proof, when the tunnel is lost", async () => {
    const gateway = await gatewayFor();
    const agent = startIn(configFor(gateway));
    await agent.connected();
    (await gateway.tunnel()).terminate();
    await until("it is back", () => gateway.instances.length === 2);
    await agent.connected();
    expect(new Set(gateway.instances).size).toBe(1);
    expect(gateway.challenges).toBe(2);
    expect(agent.log.lines.map(({ message }) => message)).toContain("not connected");
  });

  it("moves to a new tunnel when the server drains, and finishes what it has on the old one", async () => {
    const upstream = await httpUpstream((_, response) => void setTimeout(() => response.end("finished"), 200));
    closing.push(upstream.close);
    const gateway = await gatewayFor();
    startIn(configFor(gateway, { connections: [connectionTo(upstream.url)] }));
    const old = await gateway.tunnel();
    const call = send(old);
    await until("the call is out", () => upstream.accepted() === 1);
    old.goAway("restarting");
    await until("the next tunnel", () => gateway.instances.length === 2);
    expect((await call).body.toString()).toBe("finished");
    expect((await send(await gateway.tunnel())).body.toString()).toBe("finished");
  });

  it("that is refused says so loudly and goes on asking, slowly", async () => {
    const gateway = await gatewayFor();
    gateway.refuseWith = 403;
    const agent = startIn(configFor(gateway), { reconnect: { minDelayMs: 10 } });
    await until("it has been refused", () => agent.state.kind === "waiting");
    expect(agent.state).toEqual({ kind: "waiting", delayMs: 60_000, reason: "revoked" });
    expect(agent.log.lines).toContainEqual({
      level: "error",
      fields: { name: "edge-1", code: "access_denied", status: 403, hint: undefined },
      message: "refused: revoked; asking again in 60 s",
    });
  });

  it("comes back once the operator has repaired it", async () => {
    const gateway = await gatewayFor();
    const config = configFor(gateway);
    const [key = ""] = gateway.keys;
    gateway.keys.clear();
    const agent = startIn(config);
    await until("it has been refused", () => agent.state.kind === "waiting");
    gateway.keys.add(key);
    await agent.connected();
  });

  it("stops at a refusal when told so", async () => {
    const gateway = await gatewayFor();
    gateway.refuseWith = 401;
    const agent = startIn(configFor(gateway), { stopOnRefusal: true });
    expect(await agent.stopped).toMatchObject({ code: "access_denied", status: 401 });
    expect(agent.state).toMatchObject({ kind: "stopped" });
  });

  it("lets calls finish when it is closed, then leaves in order", async () => {
    const upstream = await httpUpstream((_, response) => void setTimeout(() => response.end("x".repeat(300_000)), 100));
    closing.push(upstream.close);
    const gateway = await gatewayFor();
    const agent = startIn(configFor(gateway, { connections: [connectionTo(upstream.url)] }));
    const tunnel = await gateway.tunnel();
    const call = send(tunnel);
    await until("the call is out", () => agent.inFlight === 1);
    const closed = agent.close();
    await until("the server knows", () => tunnel.state === "draining");
    expect((await call).body.length).toBe(300_000);
    await closed;
    expect(await tunnel.closed).toMatchObject({ code: 1000 });
    expect(agent.state).toEqual({ kind: "stopped" });
  });

  it("goes through the proxy that the environment names, for the challenge and for the tunnel", async () => {
    const gateway = await gatewayFor();
    const asked: string[] = [];
    const proxy = createServer();
    proxy.on("connect", (request, socket: Socket) => {
      asked.push(request.url ?? "");
      const [, port] = (request.url ?? "").split(":");
      const onward = connect(Number(port), "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        onward.pipe(socket).pipe(onward);
      });
      for (const each of [onward, socket]) each.on("error", () => onward.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    closing.push(() => void proxy.close());
    const config = configFor(gateway, { server: gateway.url.replace("127.0.0.1", "localhost") });
    const agent = startIn(config, { env: { HTTP_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` } });
    await until("it has tried", () => asked.length >= 2 || agent.state.kind === "waiting");
    const { port } = new URL(gateway.url);
    expect(asked.slice(0, 2)).toEqual([`localhost:${port}`, `localhost:${port}`]);
  });

  it("does not start without a key, and warns of one that others can read", async () => {
    const gateway = await gatewayFor();
    const config = configFor(gateway);
    expect(() => startIn({ ...config, keyFile: joinPath(folder, "none") })).toThrow(
      expect.objectContaining({ code: "configuration", hint: "hoopish-agent join makes one" }),
    );
    chmodSync(config.keyFile, 0o644);
    const agent = startIn(config);
    expect(agent.log.lines[0]).toMatchObject({ level: "warn", message: expect.stringContaining("0600") });
  });
});
