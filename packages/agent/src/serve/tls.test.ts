import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startAgent } from "../agent.ts";
import type { TargetTls } from "../config/config.ts";
import { join as joinServer } from "../join.ts";
import { send } from "../testing/call.ts";
import { createCa, HAS_OPENSSL, type TestCa } from "../testing/certificates.ts";
import { startGateway } from "../testing/gateway.ts";
import { connectionTo, memoryLog, openPair, type TunnelPair } from "../testing/tunnel-pair.ts";

// Skipped where there is no openssl program: nothing else here can sign a certificate.
describe.skipIf(!HAS_OPENSSL)("TLS", () => {
  let folder: string;
  let ca: TestCa;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "agent-tls-"));
    ca = createCa(folder, "bank-ca");
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  /** Answers with the name on the client's certificate. */
  async function secureUpstream(requestCert: boolean): Promise<{ url: string }> {
    const { cert, key } = ca.issue("model-server");
    const options = { cert, key, ca: readFileSync(ca.caFile), requestCert, rejectUnauthorized: requestCert };
    const server = createServer(options, (request, response) => {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate();
      response.writeHead(200, { connection: "close" }).end(subject?.CN ?? "nobody");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closing.push(() => {
      server.close();
      server.closeAllConnections();
    });
    return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }
  async function pairTo(upstream: { url: string }, tls: Partial<TargetTls> | undefined): Promise<TunnelPair> {
    const all = tls && { caFile: undefined, certFile: undefined, keyFile: undefined, ...tls };
    const pair = await openPair([connectionTo(upstream.url, { tls: all })]);
    closing.push(pair.close);
    return pair;
  }

  it("takes a model server that the private authority vouches for, and no other", async () => {
    const upstream = await secureUpstream(false);
    const trusting = await pairTo(upstream, { caFile: ca.caFile });
    expect((await send(trusting.server)).body.toString()).toBe("nobody");
    const other = createCa(folder, "other-ca");
    for (const tls of [undefined, { caFile: other.caFile }]) {
      const { server } = await pairTo(upstream, tls);
      const { error } = await send(server);
      expect(error).toEqual({ code: "upstream_failed", message: "TLS with the model server failed" });
    }
  });

  it("shows its client certificate, and the new one after it was replaced", async () => {
    const upstream = await secureUpstream(true);
    const [certFile, keyFile] = [join(folder, "client.pem"), join(folder, "client.key")];
    const put = (name: string): void => {
      const issued = ca.issue(name);
      copyFileSync(issued.certFile, certFile);
      copyFileSync(issued.keyFile, keyFile);
    };
    put("agent-1");
    const { server } = await pairTo(upstream, { caFile: ca.caFile, certFile, keyFile });
    expect((await send(server)).body.toString()).toBe("agent-1");
    put("agent-2");
    expect((await send(server)).body.toString()).toBe("agent-2");
    const without = await pairTo(upstream, { caFile: ca.caFile });
    expect((await send(without.server)).error?.code).toBe("upstream_failed");
  });

  it("fails a call, not the agent, while a certificate cannot be read", async () => {
    const upstream = await secureUpstream(false);
    const caFile = join(folder, "moving-ca.pem");
    const { server } = await pairTo(upstream, { caFile });
    expect((await send(server)).error?.code).toBe("upstream_failed");
    copyFileSync(ca.caFile, caFile);
    expect((await send(server)).status).toBe(200);
  });

  it("joins and connects through a private authority", async () => {
    const gateway = await startGateway({ tls: ca.issue("gateway") });
    closing.push(gateway.close);
    const keyFile = join(folder, "agent.key");
    const token = "one-time-token-0123456789";
    gateway.tokens.set(token, "edge-1");
    const identity = { server: gateway.url, serverCa: readFileSync(ca.caFile, "utf8"), name: "edge-1", keyFile };
    const strangers = joinServer({ ...identity, serverCa: undefined, env: {}, token });
    await expect(strangers).rejects.toMatchObject({ code: "unreachable" });
    await joinServer({ ...identity, env: {}, token });
    const config = {
      ...identity,
      connections: [connectionTo("http://127.0.0.1:1")],
      drainMs: 0,
      logLevel: "info",
    } as const;
    const agent = startAgent(config, { log: memoryLog(), env: {} });
    closing.push(() => agent.close());
    await agent.connected();
    expect((await send(await gateway.tunnel(), { connection: "other" })).error?.code).toBe("not_found");
  });
});
