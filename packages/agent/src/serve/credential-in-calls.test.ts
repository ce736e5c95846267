import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { CredentialConfig } from "../config/config.ts";
import { send } from "../testing/call.ts";
import { bearer, connectionTo, openPair, type TunnelPair } from "../testing/tunnel-pair.ts";
import { httpUpstream, type TestUpstream } from "../testing/upstreams.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
async function pairTo(upstream: { url: string }, credential: CredentialConfig): Promise<TunnelPair> {
  const pair = await openPair([connectionTo(upstream.url, { credential })]);
  closing.push(pair.close);
  return pair;
}
/** Answers with what it was asked: path and headers. */
async function mirror(): Promise<TestUpstream> {
  const upstream = await httpUpstream((request, response) =>
    response.end(JSON.stringify({ url: request.url, headers: request.headers })),
  );
  closing.push(upstream.close);
  return upstream;
}

const SECRET = "s3cret/key+0123456789";

describe("the credential", () => {
  it("takes the place of a header that the call brought itself", async () => {
    const { server } = await pairTo(await mirror(), bearer(SECRET));
    const headers = ["authorization", "Bearer mine", "Authorization", "Basic bWluZQ=="];
    const { body } = await send(server, { headers });
    expect(JSON.parse(body.toString()).headers.authorization).toBe(`Bearer ${SECRET}`);
  });

  it("takes the place of a query parameter that the call brought itself", async () => {
    const source = { kind: "template", parts: [SECRET] } as const;
    const { server } = await pairTo(await mirror(), { place: { kind: "query", name: "api_key" }, source });
    const urls = [];
    for (const path of ["/p", "/p?", "/p?a=1&api_key=mine&b=%41", "/p?api%5Fkey=mine&%zz=1"]) {
      urls.push(JSON.parse((await send(server, { path })).body.toString()).url);
    }
    const pair = "api_key=s3cret%2Fkey%2B0123456789";
    expect(urls).toEqual([`/p?${pair}`, `/p?${pair}`, `/p?a=1&b=%41&${pair}`, `/p?%zz=1&${pair}`]);
  });

  it("goes as Basic", async () => {
    const source = { kind: "template", parts: ["pässword"] } as const;
    const { server } = await pairTo(await mirror(), { place: { kind: "basic", user: "svc" }, source });
    const { headers } = JSON.parse((await send(server)).body.toString());
    expect(Buffer.from(headers.authorization.slice(6), "base64").toString()).toBe("svc:pässword");
  });

  it("is blotted out of the answer's headers and trailers", async () => {
    const upstream = await httpUpstream((request, response) => {
      const value = request.headers.authorization ?? "";
      response.setHeader("x-echo", value);
      response.setHeader("set-cookie", ["a=1", `token=${SECRET}; path=/`]);
      response.setHeader("location", `https://elsewhere/?k=${SECRET}`);
      response.setHeader("x-other", "kept");
      response.setHeader("trailer", "x-trailing-echo");
      response.write("body");
      response.addTrailers({ "x-trailing-echo": SECRET, "x-trailing": "kept" });
      response.end();
    });
    closing.push(upstream.close);
    const { server, log } = await pairTo(upstream, bearer(SECRET));
    const answer = await send(server);
    const headers = Object.fromEntries(answer.headers);
    expect(headers).toMatchObject({ "x-echo": "[credential]", location: "[credential]", "x-other": "kept" });
    expect(answer.trailers).toEqual(["x-trailing-echo", "[credential]", "x-trailing", "kept"]);
    expect(JSON.stringify([answer, log.lines])).not.toContain(SECRET);
  });

  it("is in nothing that is said when the call fails", async () => {
    const upstream = await httpUpstream((request, response) => {
      // Not HTTP, and quotes the credential where a parser's error would quote it.
      request.socket.end(`${request.headers.authorization}\r\n\r\n`);
      response.on("error", () => {});
    });
    closing.push(upstream.close);
    const { server, log } = await pairTo(upstream, bearer(SECRET));
    const answer = await send(server, { body: "x" });
    expect(answer.error?.code).toBe("upstream_failed");
    expect(JSON.stringify([answer.error, log.lines])).not.toContain(SECRET);
  });

  it("that cannot be had fails the call, and only the agent's log says why", async () => {
    const source = { kind: "command", argv: ["false"], prefix: "", refreshMs: 1000, timeoutMs: 1000 } as const;
    const upstream = await mirror();
    const { server, log } = await pairTo(upstream, { place: { kind: "header", name: "x" }, source });
    for (let call = 0; call < 2; call++) {
      expect((await send(server, { body: "x" })).error).toEqual({
        code: "upstream_failed",
        message: "the agent cannot obtain the credential for this connection",
      });
    }
    expect(log.lines.at(-1)?.fields.detail).toBe("credential command false ended with exit code 1");
    expect(upstream.accepted()).toBe(0);
  });

  it("is looked up again after the model server has refused it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "agent-rotation-"));
    closing.push(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "key");
    writeFileSync(file, "old");
    let good = "old";
    const upstream = await httpUpstream((request, response) => {
      response.writeHead(request.headers["x-key"] === good ? 200 : 401).end();
    });
    closing.push(upstream.close);
    const source = { kind: "template", parts: [{ file }] } as const;
    const { server } = await pairTo(upstream, { place: { kind: "header", name: "x-key" }, source });
    expect((await send(server)).status).toBe(200);
    good = "new-one";
    writeFileSync(file, good);
    expect((await send(server)).status).toBe(401);
    expect((await send(server)).status).toBe(200);
  });
});
