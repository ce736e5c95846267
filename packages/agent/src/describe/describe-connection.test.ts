import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  encodeFile,
  filesIn,
  methodsIn,
  type ReflectionServer,
  type ReflectionServerOptions,
  startReflectionServer,
} from "@hoopish/fixtures";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { ConnectionConfig } from "../config/config.ts";
import { createCa, HAS_OPENSSL, type TestCa } from "../testing/certificates.ts";
import { bearer, connectionTo } from "../testing/tunnel-pair.ts";
import { rawUpstream } from "../testing/upstreams.ts";
import { describeConnection } from "./describe-connection.ts";
import type { Description } from "./gather.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
async function serving(options: ReflectionServerOptions = {}): Promise<ReflectionServer> {
  const server = await startReflectionServer(options);
  closing.push(server.close);
  return server;
}
const ask = (url: string, over: Partial<ConnectionConfig> = {}, deadlineMs = 15_000): Promise<Description> =>
  describeConnection(connectionTo(url, over), { env: {}, signal: new AbortController().signal, deadlineMs });

const METHODS = ["/bank.ledger.Audit/Last", "/bank.ledger.Ledger/Find", "/bank.ledger.Ledger/Watch"];

describe("a server that describes itself", () => {
  it.each(["v1", "v1alpha"] as const)(
    "by grpc.reflection.%s becomes a set of two files, the import first",
    async (version) => {
      const server = await serving({ versions: [version] });
      const { set, files, services } = await ask(server.url);
      expect(methodsIn(set)).toEqual(METHODS);
      expect(filesIn(set)).toEqual(["money.proto", "bank/ledger.proto"]);
      expect(files).toBe(2);
      expect(services).toEqual([
        { name: "bank.ledger.Audit", methods: 1 },
        { name: "bank.ledger.Ledger", methods: 2 },
      ]);
      // Neither health nor reflection, nor what an answer before has described already.
      expect(server.asked).toEqual([
        `${version} list_services *`,
        `${version} file_containing_symbol bank.ledger.Audit`,
        `${version} file_by_filename money.proto`,
      ]);
    },
  );

  it("is asked by v1 where it has both", async () => {
    const server = await serving();
    await ask(server.url);
    expect(server.asked.every((question) => question.startsWith("v1 "))).toBe(true);
    expect(server.metadata).toHaveLength(1);
  });

  it("may have no services but gRPC's own", async () => {
    const { url } = await serving({ services: ["grpc.reflection.v1.ServerReflection", "grpc.health.v1.Health"] });
    expect(await ask(url)).toEqual({ set: Buffer.alloc(0), files: 0, services: [] });
  });

  it("gets the connection's credential", async () => {
    const { url, metadata } = await serving({ token: "the-model-secret" });
    await ask(url, { credential: bearer("the-model-secret") });
    expect(metadata).toEqual([expect.objectContaining({ authorization: "Bearer the-model-secret" })]);
  });

  it("may refuse the credential, which is not shown when it is repeated", async () => {
    const { url } = await serving({ token: "another" });
    const refused = ask(url, { credential: bearer("the-model-secret") });
    await expect(refused).rejects.toThrow(/refuses the connection's credential: gRPC status 16 \[credential\]$/);
    await expect(ask(url)).rejects.toThrow(/gRPC status 16 "not good: undefined"$/);
  });
});

// Skipped where there is no openssl program: nothing else here can sign a certificate.
describe.skipIf(!HAS_OPENSSL)("over TLS", () => {
  let folder: string;
  let ca: TestCa;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "agent-describe-"));
    ca = createCa(folder, "bank-ca");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("takes a server that the connection's authority vouches for, and no other", async () => {
    const { url, metadata } = await serving({ tls: ca.issue("model-server"), token: "t" });
    const tls = { caFile: ca.caFile, certFile: undefined, keyFile: undefined };
    const credential = bearer("t");
    expect(methodsIn((await ask(url, { tls, credential })).set)).toEqual(METHODS);
    await expect(ask(url, { credential })).rejects.toThrow(/TLS with the model server failed \([A-Z_]+\)$/);
    expect(metadata).toHaveLength(1);
  });
});

describe("a target that does not describe itself", () => {
  it("has no reflection", async () => {
    const { url } = await serving({ versions: [] });
    await expect(ask(url)).rejects.toMatchObject({
      code: "upstream_failed",
      message: expect.stringMatching(/^connection model \(127\.0\.0\.1:\d+\): the model server has no reflection$/),
      hint: expect.stringContaining("protoc --include_imports --descriptor_set_out"),
    });
  });

  it("is not there", async () => {
    const upstream = await rawUpstream(() => undefined);
    await upstream.close();
    const message = `connection model (127.0.0.1:${upstream.port}): the model server refuses connections (ECONNREFUSED)`;
    await expect(ask(`grpc://127.0.0.1:${upstream.port}`)).rejects.toMatchObject({ code: "upstream_failed", message });
  });

  it("speaks something else", async () => {
    const upstream = await rawUpstream((socket) => socket.end("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"));
    closing.push(upstream.close);
    await expect(ask(`grpc://127.0.0.1:${upstream.port}`)).rejects.toMatchObject({
      message: expect.stringMatching(/broke HTTP\/2 off \(ERR_HTTP2_/),
      hint: expect.stringContaining("the port for gRPC"),
    });
  });

  it("takes the connection and says nothing", async () => {
    const upstream = await rawUpstream(() => undefined);
    closing.push(upstream.close);
    await expect(ask(`grpc://127.0.0.1:${upstream.port}`, {}, 200)).rejects.toMatchObject({
      code: "upstream_timeout",
      message: `connection model (127.0.0.1:${upstream.port}): the model server did not finish within 0.2 s`,
    });
  });

  it("is let go when the operator interrupts", async () => {
    const upstream = await rawUpstream(() => undefined);
    closing.push(upstream.close);
    const interrupt = new AbortController();
    const config = connectionTo(`grpc://127.0.0.1:${upstream.port}`);
    const asked = describeConnection(config, { env: {}, signal: interrupt.signal, deadlineMs: 15_000 });
    setTimeout(() => interrupt.abort(), 100);
    await expect(asked).rejects.toThrow("interrupted");
  });

  it("is left alone when its credential comes after the deadline", async () => {
    const upstream = await rawUpstream(() => undefined);
    closing.push(upstream.close);
    const source = {
      kind: "command",
      argv: [process.execPath, "-e", "setTimeout(() => console.log(1), 400)"],
      prefix: "x",
      refreshMs: 1_000,
      timeoutMs: 5_000,
    } as const;
    const credential = { place: { kind: "header", name: "authorization" }, source } as const;
    const url = `grpc://127.0.0.1:${upstream.port}`;
    await expect(ask(url, { credential }, 100)).rejects.toMatchObject({ code: "upstream_timeout" });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(upstream.accepted()).toBe(0);
  });

  it("cannot be asked without its credential", async () => {
    const { url, asked } = await serving();
    const source = { kind: "command", argv: ["false"], prefix: "", refreshMs: 1_000, timeoutMs: 5_000 } as const;
    const credential = { place: { kind: "header", name: "authorization" }, source } as const;
    await expect(ask(url, { credential })).rejects.toMatchObject({ code: "configuration" });
    expect(asked).toEqual([]);
  });
});

describe("a server that describes itself badly", () => {
  const files = (...all: readonly Buffer[]) => ({ file_descriptor_response: { file_descriptor_proto: all } });

  it("refuses a service that it lists, in its own words made harmless", async () => {
    const { url } = await serving({
      services: ["bank.Other"],
      otherwise: () => ({
        error_response: { error_code: 5, error_message: "\u001b[31mnone\nhoopish-agent: all is well" },
      }),
    });
    await expect(ask(url)).rejects.toThrow(
      /does not describe "bank\.Other": error 5 "\?\[31mnone\?hoopish-agent: all is well"$/,
    );
  });

  it.each([
    ["a service's name that is none", ["bank.\u001b[2J"], () => ({}), /a service has no good name$/],
    [
      "another file",
      ["bank.Other"],
      () => files(encodeFile({ name: "x.proto" })),
      /lists bank\.Other and does not describe/,
    ],
    ["no file", ["bank.Other"], () => files(Buffer.from([0xff])), /a message breaks off$/],
    ["a file without a name", ["bank.Other"], () => files(Buffer.alloc(0)), /a file has no name$/],
    ["nothing", ["bank.Other"], () => ({}), /answers something else than was asked$/],
    [
      "a list for a file",
      ["bank.Other"],
      () => ({ list_services_response: { service: [] } }),
      /answers something else than was asked$/,
    ],
    [
      "files in a circle",
      ["bank.Other"],
      () =>
        files(
          encodeFile({ name: "a", package: "bank", dependency: ["b"], service: [{ name: "Other" }] }),
          encodeFile({ name: "b", dependency: ["a"] }),
        ),
      /import each other in a circle$/,
    ],
    [
      "an import that is another file",
      ["bank.Other"],
      () => files(encodeFile({ name: "a", package: "bank", dependency: ["b"], service: [{ name: "Other" }] })),
      /was asked for one file and describes another$/,
    ],
  ])("%s", async (_, services, otherwise, why) => {
    const { url } = await serving({ services, otherwise });
    await expect(ask(url)).rejects.toMatchObject({ code: "upstream_failed", message: expect.stringMatching(why) });
  });

  it("without end: a file that imports a file that imports a file", async () => {
    let made = 0;
    const { url, asked } = await serving({
      services: ["bank.Other"],
      otherwise: () => {
        const name = `${made++}.proto`;
        return files(
          encodeFile({ name, package: "bank", dependency: [`${made}.proto`], service: [{ name: "Other" }] }),
        );
      },
    });
    await expect(ask(url)).rejects.toMatchObject({
      code: "response_too_large",
      message: expect.stringMatching(/more than 1,000 files$/),
    });
    expect(asked).toHaveLength(1_002);
  });

  it("in files that are too large together", async () => {
    let made = 0;
    const { url } = await serving({
      services: ["bank.Other"],
      otherwise: () => {
        const service = [{ name: "Other" }, { name: "x".repeat(2_000_000) }];
        const name = `${made++}.proto`;
        return files(encodeFile({ name, package: "bank", dependency: [`${made}.proto`], service }));
      },
    });
    await expect(ask(url)).rejects.toThrow(/more than 16 MiB$/);
    expect(made).toBe(9);
  });

  it("with more services than anybody has", async () => {
    const { url } = await serving({ services: Array.from({ length: 1_001 }, (_, i) => `bank.S${i}`) });
    await expect(ask(url)).rejects.toThrow(/more than 1,000 services$/);
  });
});
