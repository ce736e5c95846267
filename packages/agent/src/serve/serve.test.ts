import { createHash, randomBytes } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { type ModelServer, startModelServer } from "@hoopish/fixtures";
import { TunnelErrorCode } from "@hoopish/protocol";
import { afterEach, describe, expect, it } from "vitest";
import type { ConnectionConfig } from "../config/config.ts";
import { answered, open, send, until } from "../testing/call.ts";
import { bearer, connectionTo, openPair, type TunnelPair } from "../testing/tunnel-pair.ts";
import { httpUpstream, type TestUpstream } from "../testing/upstreams.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function pairTo(upstream: { url: string }, over: Partial<ConnectionConfig> = {}): Promise<TunnelPair> {
  const pair = await openPair([connectionTo(upstream.url, over)]);
  closing.push(pair.close);
  return pair;
}
async function upstreamOf(...args: Parameters<typeof httpUpstream>): ReturnType<typeof httpUpstream> {
  const upstream = await httpUpstream(...args);
  closing.push(upstream.close);
  return upstream;
}
async function modelServer(): Promise<ModelServer> {
  const server = await startModelServer();
  closing.push(server.close);
  return server;
}

describe("a call through the agent", () => {
  it("reaches the model server with its credential, which the caller never sees", async () => {
    const model = await modelServer();
    const { server } = await pairTo(model, { credential: bearer(model.credential) });
    const headers = ["content-type", "application/json", "x-request", "1", "authorization", "Bearer of the caller"];
    const { status, body } = await send(server, { path: "/test/echo?a=1", headers, body: '{"rows":[1]}' });
    const echo = JSON.parse(body.toString());
    expect(status).toBe(200);
    expect(echo).toMatchObject({ method: "POST", path: "/test/echo?a=1", credentialRight: true, bytes: 12 });
    expect(Object.fromEntries(echo.headers)).toEqual({
      host: `127.0.0.1:${model.port}`,
      connection: "keep-alive",
      "content-type": "application/json",
      "content-length": "12",
      "x-request": "1",
    });
    expect(body.toString()).not.toContain(model.credential);
  });

  it("keeps sockets open between calls", async () => {
    const upstream = await upstreamOf((_, response) => response.end("ok"));
    const { server } = await pairTo(upstream);
    for (let call = 0; call < 20; call++) expect((await send(server)).body.toString()).toBe("ok");
    expect(upstream.accepted()).toBe(1);
  });

  it("carries many calls at once on one tunnel", async () => {
    const model = await modelServer();
    const { server } = await pairTo(model, { credential: bearer(model.credential) });
    await send(server);
    const bodies = Array.from({ length: 200 }, (_, index) => `call ${index}`);
    const answers = await Promise.all(bodies.map((body) => send(server, { path: "/test/sink", body })));
    for (const [index, { body }] of answers.entries()) {
      expect(JSON.parse(body.toString()).sha256).toBe(sha256(Buffer.from(bodies[index] ?? "")));
    }
  });

  it("sends 10 MB both ways unchanged", async () => {
    const upstream = await upstreamOf((request, response) => {
      response.writeHead(200, { "content-type": "application/octet-stream" });
      request.pipe(response);
    });
    const { server, serving } = await pairTo(upstream);
    const body = randomBytes(10 * 1024 * 1024);
    for (const length of [body.length, null]) {
      const answer = await send(server, { body, length, timeoutMs: 20_000 });
      expect(answer.reset).toBeUndefined();
      expect(sha256(answer.body)).toBe(sha256(body));
    }
    expect(serving.inFlight).toBe(0);
  });

  it("writes each token on as it comes", async () => {
    const model = await modelServer();
    const { server } = await pairTo(model, { credential: bearer(model.credential) });
    const body = JSON.stringify({ model: "m", messages: [{ role: "user", content: "write 6 words" }], stream: true });
    const call = open(server, { path: "/v1/chat/completions", body, headers: ["x-test-token-delay", "40"] });
    await until("the first token", () => call.chunks.length > 0);
    expect(call.ended).toBe(false);
    await call.done;
    expect(call.chunks.length).toBeGreaterThanOrEqual(6);
    expect(Buffer.concat(call.chunks).toString()).toContain("[DONE]");
  });

  it("leaves a compressed answer as it is", async () => {
    const packed = gzipSync("a".repeat(10_000));
    const upstream = await upstreamOf((_, response) => {
      response.writeHead(200, { "content-encoding": "gzip", "content-length": packed.length }).end(packed);
    });
    const { server } = await pairTo(upstream);
    const answer = await send(server);
    expect(answer.headers.get("content-encoding")).toBe("gzip");
    expect(answer.body.equals(packed)).toBe(true);
  });

  it("passes redirects on and follows none", async () => {
    const upstream = await upstreamOf((_, response) =>
      response.writeHead(307, { location: "http://elsewhere/" }).end(),
    );
    const { server } = await pairTo(upstream);
    const answer = await send(server);
    expect(answer.status).toBe(307);
    expect(answer.headers.get("location")).toBe("http://elsewhere/");
    expect(upstream.accepted()).toBe(1);
  });

  it("does HEAD, 204 and 304 without waiting for a body", async () => {
    const upstream = await upstreamOf((request, response) => {
      const status = Number(request.url?.slice(1));
      response.writeHead(status, status === 200 ? { "content-length": "1234" } : {}).end();
    });
    const { server } = await pairTo(upstream);
    const head = await send(server, { method: "HEAD", path: "/200" });
    expect([head.status, head.headers.get("content-length"), head.body.length]).toEqual([200, "1234", 0]);
    for (const status of [204, 304]) {
      const answer = await send(server, { path: `/${status}` });
      expect([answer.status, answer.body.length, answer.reset]).toEqual([status, 0, undefined]);
    }
  });

  it("ignores interim answers", async () => {
    const upstream = await upstreamOf((_, response) => {
      response.writeProcessing();
      response.writeEarlyHints({ link: "</style.css>; rel=preload" });
      response.end("final");
    });
    const { server } = await pairTo(upstream);
    const answer = await send(server);
    expect([answer.status, answer.body.toString(), answer.headers.get("link")]).toEqual([200, "final", undefined]);
  });

  it("carries trailers both ways", async () => {
    const upstream = await upstreamOf((request, response) => {
      request.resume().on("end", () => {
        response.writeHead(200, { trailer: "x-got" });
        response.write("body");
        response.addTrailers({ "x-got": `${request.trailers["x-sum"]};${request.trailers.authorization ?? "none"}` });
        response.end();
      });
    });
    const { server } = await pairTo(upstream, { credential: bearer("the-secret") });
    const call = open(server, { method: "POST", headers: ["trailer", "x-sum"], keepOpen: true });
    call.stream.write(Buffer.from("some bytes"));
    call.stream.endWithTrailers({ trailers: ["x-sum", "42", "authorization", "Bearer mine"] });
    await call.done;
    expect(answered(call)).toMatchObject({ status: 200, trailers: ["x-got", "42;none"] });
    expect(Buffer.concat(call.chunks).toString()).toBe("body");
  });

  it("refuses trailers that were not announced, before the request is whole", async () => {
    let whole = 0;
    const upstream = await upstreamOf((request, response) => {
      request.on("end", () => {
        whole += 1;
        response.end();
      });
      request.resume();
    });
    const { server } = await pairTo(upstream);
    const call = open(server, { method: "POST", keepOpen: true });
    call.stream.write(Buffer.from("some bytes"));
    await until("the upload has begun", () => upstream.accepted() === 1);
    call.stream.endWithTrailers({ trailers: ["x-sum", "42"] });
    await call.done;
    expect(answered(call).error?.code).toBe("bad_request");
    expect(whole).toBe(0);
  });
});

describe("cancelling", () => {
  it("stops the model's generation when the server resets the stream", async () => {
    const model = await modelServer();
    const { server, serving } = await pairTo(model, { credential: bearer(model.credential) });
    const body = JSON.stringify({
      model: "m",
      messages: [{ role: "user", content: "write 900000 words" }],
      stream: true,
    });
    const call = open(server, { path: "/v1/chat/completions", body, headers: ["x-test-token-delay", "5"] });
    await until("the first token", () => call.chunks.length > 0);
    call.stream.reset(TunnelErrorCode.CANCEL, "the client left");
    await until("the model server lost its client", () => model.stats().inFlight === 0);
    const { aborted, tokensGenerated } = model.stats();
    expect(aborted).toBe(1);
    expect(tokensGenerated).toBeLessThan(900_000);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(model.stats().tokensGenerated).toBe(tokensGenerated);
    expect(serving.inFlight).toBe(0);
  });

  it("stops it when the tunnel breaks", async () => {
    const upstream = await upstreamOf(() => {});
    const { server, agent, serving } = await pairTo(upstream);
    open(server);
    await until("the call is out", () => upstream.accepted() === 1);
    agent.terminate();
    await until("the socket is closed", async () => (await connections(upstream)) === 0);
    expect(serving.inFlight).toBe(0);
  });

  it("keeps nothing of calls that were given up while they waited", async () => {
    const upstream = await upstreamOf(() => {});
    const { server, serving } = await pairTo(upstream, { pool: { connections: 1, keepAliveMs: 1000 } });
    open(server, { path: "/hangs" });
    await until("the call is out", () => upstream.accepted() === 1);
    const before = await memory();
    for (let round = 0; round < 20; round++) {
      const calls = Array.from({ length: 50 }, () => open(server, { body: Buffer.alloc(60_000) }));
      await until("they wait", () => serving.inFlight === 51);
      for (const { stream } of calls) stream.reset(TunnelErrorCode.CANCEL);
      await until("they are gone", () => serving.inFlight === 1);
    }
    expect((await memory()) - before).toBeLessThan(8 * 1024 * 1024);
  });

  it("drops a call that still waits for a socket", async () => {
    const seen: string[] = [];
    const upstream = await upstreamOf((request, response) => {
      seen.push(request.url ?? "");
      setTimeout(() => response.end(), 100);
    });
    const { server } = await pairTo(upstream, { pool: { connections: 1, keepAliveMs: 1000 } });
    const first = open(server, { path: "/first" });
    const waiting = open(server, { path: "/waiting" });
    const last = open(server, { path: "/last" });
    waiting.stream.reset(TunnelErrorCode.CANCEL);
    await Promise.all([first.done, last.done]);
    expect(seen).toEqual(["/first", "/last"]);
  });
});

describe("slow peers", () => {
  it("holds little of an upload that the model server does not read", async () => {
    const upstream = await upstreamOf((request) => void request.pause());
    const { server } = await pairTo(upstream);
    const total = 256 * 1024 * 1024;
    const call = open(server, { method: "POST", keepOpen: true, length: total, timeoutMs: 60_000 });
    const before = await memory();
    const piece = Buffer.alloc(64 * 1024, 1);
    let offered = 0;
    // Offered for as long as the tunnel takes more: what then lies in queues is what the agent accepted.
    for (let quiet = 0; quiet < 20 && offered < total; ) {
      if (call.stream.writableQueued === 0) {
        quiet = 0;
        call.stream.write(piece);
        offered += piece.length;
      } else quiet += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(offered).toBeLessThan(16 * 1024 * 1024);
    expect((await memory()) - before).toBeLessThan(16 * 1024 * 1024);
    call.stream.reset(TunnelErrorCode.CANCEL);
  }, 30_000);

  it("stops reading an answer that nobody takes, and goes on when somebody does", async () => {
    const size = 48 * 1024 * 1024;
    let sent = 0;
    const upstream = await upstreamOf((_, response) => {
      const piece = Buffer.alloc(64 * 1024, 2);
      const more = (): void => {
        while (sent < size) {
          sent += piece.length;
          if (!response.write(piece)) return void response.once("drain", more);
        }
        response.end();
      };
      more();
    });
    const { server } = await pairTo(upstream);
    const call = open(server, { stall: true, timeoutMs: 60_000 });
    await call.head;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(sent).toBeLessThan(16 * 1024 * 1024);
    call.take();
    await call.done;
    expect(Buffer.concat(call.chunks).length).toBe(size);
  }, 30_000);

  it("lets an answer come before the upload is over, and then stops the upload", async () => {
    const upstream = await upstreamOf((_, response) => response.writeHead(413).end("too large"));
    const { server, serving } = await pairTo(upstream);
    const call = open(server, { method: "POST", keepOpen: true, length: 1024 * 1024 * 1024 });
    call.stream.write(Buffer.alloc(64 * 1024));
    await call.done;
    expect(answered(call)).toMatchObject({ status: 413 });
    expect(Buffer.concat(call.chunks).toString()).toBe("too large");
    await until("the stream is gone", () => call.stream.state === "closed");
    expect(call.reset?.code).toBe(TunnelErrorCode.NO_ERROR);
    expect(serving.inFlight).toBe(0);
  });
});

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
/** Bytes in use after garbage was collected; twice, because what the first run finishes the second one frees. */
async function memory(): Promise<number> {
  for (let run = 0; run < 2; run++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  return arrayBuffers + heapUsed;
}
function connections({ server }: Awaited<ReturnType<typeof httpUpstream>>): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}

export type { TestUpstream };
