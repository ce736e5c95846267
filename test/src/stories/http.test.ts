import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportLog } from "../world/log.ts";
import { head, speak, statuses } from "../world/wire.ts";
import { type Connected, World } from "../world/world.ts";

/** Requests that no well-meaning client sends. What the model server saw is counted by the model server itself. */

let world: World;
let raw: Connected;
beforeAll(async () => {
  world = await World.start();
  await world.signIn("scientist");
  await world.signIn("audit");
  raw = await world.connect("scientist", "raw");
});
afterAll(() => world?.close());

const SMUGGLED = "GET /test/echo?smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

describe("a request that two parsers could read differently", () => {
  const shapes: readonly [string, (base: string) => string][] = [
    [
      "both Content-Length and Transfer-Encoding",
      (base) =>
        `${head(base, "POST /test/echo HTTP/1.1", ["Content-Length: 5", "Transfer-Encoding: chunked"])}0\r\n\r\n${SMUGGLED}`,
    ],
    [
      "two Content-Lengths",
      (base) =>
        `${head(base, "POST /test/echo HTTP/1.1", ["Content-Length: 0", `Content-Length: ${SMUGGLED.length}`])}${SMUGGLED}`,
    ],
    [
      "a Content-Length list",
      (base) => `${head(base, "POST /test/echo HTTP/1.1", [`Content-Length: 0, ${SMUGGLED.length}`])}${SMUGGLED}`,
    ],
    [
      "a signed Content-Length",
      (base) => `${head(base, "POST /test/echo HTTP/1.1", ["Content-Length: +0"])}${SMUGGLED}`,
    ],
    [
      "an unknown transfer coding",
      (base) => `${head(base, "POST /test/echo HTTP/1.1", ["Transfer-Encoding: xchunked"])}${SMUGGLED}`,
    ],
    [
      "chunked not last",
      (base) =>
        `${head(base, "POST /test/echo HTTP/1.1", ["Transfer-Encoding: chunked, identity"])}0\r\n\r\n${SMUGGLED}`,
    ],
    [
      "a bare LF between fields",
      (base) => `POST /test/echo HTTP/1.1\nHost: ${new URL(base).host}\nContent-Length: 0\n\n${SMUGGLED}`,
    ],
    ["a space before the colon", (base) => head(base, "POST /test/echo HTTP/1.1", ["Content-Length : 5"])],
    [
      "an obsolete line fold",
      (base) =>
        `GET /test/echo HTTP/1.1\r\nHost: ${new URL(base).host}\r\nX-A: 1\r\n  Transfer-Encoding: chunked\r\n\r\n`,
    ],
    [
      "a chunk size with a sign",
      (base) => `${head(base, "POST /test/echo HTTP/1.1", ["Transfer-Encoding: chunked"])}+5\r\nhello\r\n0\r\n\r\n`,
    ],
    [
      "a chunk size that overflows",
      (base) =>
        `${head(base, "POST /test/echo HTTP/1.1", ["Transfer-Encoding: chunked"])}FFFFFFFFFFFFFFFFF\r\n${SMUGGLED}`,
    ],
    ["a NUL in a field", (base) => head(base, "GET /test/echo HTTP/1.1", ["X-A: a\0b"])],
    ["no HTTP at all", () => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03not http\r\n\r\n"],
    ["an absolute target", (base) => head(base, "GET http://169.254.169.254/latest/meta-data HTTP/1.1")],
    ["CONNECT", (base) => `CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: ${new URL(base).host}\r\n\r\n`],
  ];

  it.each(shapes)("%s: refused, and nothing smuggled reaches the model server", async (_name, shape) => {
    const before = world.model?.stats().requests ?? 0;
    const { text, ended } = await speak(raw.base, [shape(raw.base)], { waitMs: 2_500 });
    const codes = statuses(text);
    expect(
      codes.filter((code) => code < 400),
      text,
    ).toEqual([]);
    expect(codes.length).toBeLessThanOrEqual(1);
    expect(ended).not.toBe("open");
    expect(world.model?.stats().requests).toBe(before);
  });

  it("is recorded as a refusal", async () => {
    const { records } = await exportLog(world);
    const refused = records.filter(
      (record) => record.type === "call.decided" && record.verdict === "block" && record.code === "bad_request",
    );
    expect(refused.length).toBeGreaterThanOrEqual(8);
  });
});

describe("heads", () => {
  it("that are huge are refused", async () => {
    const { text } = await speak(raw.base, [
      head(raw.base, "GET /test/echo HTTP/1.1", [`X-Big: ${"x".repeat(60_000)}`]),
    ]);
    expect(statuses(text)).toEqual([431]);
  });

  it("that come too slowly are refused, and do not hold up others", async () => {
    const slow = speak(raw.base, [`GET /test/echo HTTP/1.1\r\nHost: ${new URL(raw.base).host}\r\n`], {
      waitMs: 16_000,
    });
    const startedMs = performance.now();
    expect((await fetch(`${raw.base}/test/echo`)).status).toBe(200);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    const { text, ended } = await slow;
    expect(ended).not.toBe("open");
    expect(statuses(text).filter((code) => code !== 408)).toEqual([]);
  }, 30_000);
});

describe("pipelined requests", () => {
  it("are answered in their order, each with its own record", async () => {
    const requests = Array.from(
      { length: 20 },
      (_, i) =>
        `${head(raw.base, "POST /test/echo HTTP/1.1", ["Content-Type: text/plain", `Content-Length: ${String(i).length}`])}${i}`,
    );
    const { text } = await speak(raw.base, [requests.join("")], { waitMs: 3_000 });
    expect(statuses(text)).toEqual(Array.from({ length: 20 }, () => 200));
    const calls = [...text.matchAll(/hoopish-call: (call_[0-9a-f]{32})/g)].map((match) => match[1] ?? "");
    expect(new Set(calls).size).toBe(20);
    const { payloads } = await exportLog(world);
    expect(calls.map((call) => payloads.get(`${call} request`)?.toString())).toEqual(
      Array.from({ length: 20 }, (_, i) => String(i)),
    );
  });

  it("cut off in the middle leave the whole ones answered", async () => {
    const whole = head(raw.base, "GET /test/echo HTTP/1.1");
    const { text } = await speak(raw.base, [`${whole}${whole}GET /test/ec`], { waitMs: 1_500 });
    expect(statuses(text).slice(0, 2)).toEqual([200, 200]);
  });
});

describe("what passes unchanged", () => {
  it.each(["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])("%s", async (method) => {
    const answer = await fetch(`${raw.base}/test/echo?a=1&b=%20`, {
      method,
      ...(method === "PUT" || method === "PATCH" ? { body: "b" } : {}),
    });
    expect(answer.status).toBe(200);
    if (method !== "HEAD") expect(await answer.json()).toMatchObject({ method });
  });

  it("bodies of any size, byte for byte, and trailers", async () => {
    for (const bytes of [0, 1, 16_383, 16_385, 1_048_576, 1_048_577, 9_000_001]) {
      const body = Buffer.alloc(bytes, "abcdefghij");
      const answer = await fetch(`${raw.base}/test/echo`, { method: "POST", body });
      const { bytes: length, sha256 } = (await answer.json()) as { bytes: number; sha256: string };
      expect(length).toBe(bytes);
      expect(sha256).toBe(Buffer.from(await crypto.subtle.digest("SHA-256", body)).toString("hex"));
    }
    const trailers = await speak(raw.base, [
      head(raw.base, "GET /v1/models HTTP/1.1", ["x-test-mode: trailers", "TE: trailers", "Connection: close, TE"]),
    ]);
    expect(trailers.text).toMatch(/\r\n0\r\n[^\r]+: /);
  });

  it("a compressed answer, opened for inspection, with its length right", async () => {
    const { text } = await speak(raw.base, [
      head(raw.base, "GET /v1/models HTTP/1.1", ["x-test-mode: gzip", "Accept-Encoding: gzip", "Connection: close"]),
    ]);
    expect(statuses(text)).toEqual([200]);
    expect(text).not.toMatch(/content-encoding/i);
    expect(text).toContain('"data"');
  });
});
