import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { createHttp } from "./http.ts";
import { networkError } from "./network-error.ts";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function http(env: Record<string, string>) {
  const client = createHttp(env, new AbortController().signal);
  closing.push(() => void client.close());
  return client;
}

/** A proxy that notes what it was asked for: CONNECT for https, the whole URL for http (RFC 9112 §3.2.2). */
async function proxy(asked: string[]): Promise<number> {
  const server = createServer((request, response) => {
    asked.push(new URL(request.url ?? "").host);
    response.end("here");
  });
  server.on("connect", (request, socket) => {
    asked.push(request.url ?? "");
    socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
  });
  return listen(server);
}

it("goes through the proxy of the environment, in either case and without a scheme, and not where it is exempt", async () => {
  const target = await listen(createServer((_request, response) => response.end("here")));
  const asked: string[] = [];
  const port = await proxy(asked);
  const url = `http://127.0.0.1:${target}/`;
  const ask = async (env: Record<string, string>): Promise<number> => {
    asked.length = 0;
    const { body } = await http(env).request(url);
    expect(await body.text()).toBe("here");
    return asked.length;
  };
  expect(await ask({})).toBe(0);
  expect(await ask({ HTTP_PROXY: `http://127.0.0.1:${port}` })).toBe(1);
  expect(await ask({ http_proxy: `127.0.0.1:${port}` })).toBe(1);
  expect(await ask({ ALL_PROXY: `http://127.0.0.1:${port}` })).toBe(1);
  expect(await ask({ HTTPS_PROXY: `http://127.0.0.1:${port}` })).toBe(0);
  expect(await ask({ HTTP_PROXY: `http://127.0.0.1:${port}`, NO_PROXY: "127.0.0.1" })).toBe(0);
  // The same for openid-client, through the Fetch API.
  asked.length = 0;
  await http({ HTTP_PROXY: `http://127.0.0.1:${port}` }).fetch(url);
  expect(asked).toEqual([`127.0.0.1:${target}`]);
  asked.length = 0;
  const refused = http({ HTTPS_PROXY: `127.0.0.1:${port}` }).request("https://gateway.bank.example/");
  await expect(refused).rejects.toMatchObject({ code: "unreachable", hint: expect.stringContaining("HTTPS_PROXY") });
  expect(asked).toEqual(["gateway.bank.example:443"]);
});

it("is unreachable, with a remedy, when nothing comes", async () => {
  const silent = await listen(createServer(() => {}));
  await expect(http({}).request(`http://127.0.0.1:${silent}/`, { timeoutMs: 100 })).rejects.toMatchObject({
    code: "unreachable",
    hint: expect.stringContaining("VPN"),
  });
});

it.each([
  ["ENOTFOUND", "cannot be resolved"],
  ["ECONNREFUSED", "nothing listens"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "not signed by an authority"],
  ["CERT_HAS_EXPIRED", "expired"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "another name"],
  ["UND_ERR_CONNECT_TIMEOUT", "does not answer"],
])("explains %s, however deep it lies", (code, words) => {
  const cause = new TypeError("fetch failed", { cause: new AggregateError([Object.assign(new Error("x"), { code })]) });
  const error = networkError(cause, "https://gateway.bank.example");
  expect(error).toMatchObject({
    code: "unreachable",
    message: expect.stringContaining(words),
    hint: expect.any(String),
  });
});
