import { describe, expect, it } from "vitest";
import { type GuardVerdict, HeadGuard, MAX_HEAD_BYTES } from "./guard.ts";

const PORT = 23456;

function judge(head: string, key?: string): GuardVerdict {
  const guard = new HeadGuard({ port: PORT, ...(key !== undefined && { key }) });
  return guard.push(Buffer.from(head, "latin1"));
}

const request = (...lines: string[]): string => ["POST /v1/chat HTTP/1.1", ...lines, "", ""].join("\r\n");
const local = (...lines: string[]): string => request(`Host: 127.0.0.1:${PORT}`, ...lines);

describe("Host", () => {
  it.each([`127.0.0.1:${PORT}`, `localhost:${PORT}`, `LocalHost:${PORT}`, `[::1]:${PORT}`])("lets %s in", (host) => {
    expect(judge(request(`Host: ${host}`)).kind).toBe("pass");
  });

  it.each([
    "evil.example",
    `evil.example:${PORT}`,
    "127.0.0.1",
    "localhost",
    "127.0.0.1:1",
    `127.0.0.1.evil.example:${PORT}`,
    `localhost.evil.example:${PORT}`,
    `localhost.:${PORT}`,
    `127.1:${PORT}`,
    `2130706433:${PORT}`,
    `0.0.0.0:${PORT}`,
    `user@127.0.0.1:${PORT}`,
    `127.0.0.1:${PORT}/`,
    `127.0.0.1:${PORT} evil`,
    `127.0.0.1:0${PORT}9`,
    "",
  ])("refuses %j", (host) => {
    expect(judge(request(`Host: ${host}`))).toMatchObject({ kind: "refuse", status: 403 });
  });

  it("wants exactly one", () => {
    expect(judge(request())).toMatchObject({ kind: "refuse", status: 400 });
    expect(judge(local(`Host: 127.0.0.1:${PORT}`))).toMatchObject({ kind: "refuse", status: 400 });
    expect(judge(local("host: evil.example"))).toMatchObject({ kind: "refuse", status: 400 });
  });

  it("takes the default port for a listener on it", () => {
    const guard = new HeadGuard({ port: 80 });
    expect(guard.push(Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")).kind).toBe("pass");
  });
});

describe("browsers", () => {
  it.each([
    "Origin: https://evil.example",
    "Origin: http://evil.example:23456",
    "Origin: null",
    "Origin:",
    "origin: http://127.0.0.1:8080",
    "Origin: http://localhost",
    `Origin: https://127.0.0.1:${PORT}`,
    `Origin: http://127.0.0.1:${PORT} http://evil.example`,
    "Sec-Fetch-Site: cross-site",
    "Sec-Fetch-Site: same-site",
    "sec-fetch-site: something-new",
  ])("refuses %s", (line) => {
    expect(judge(local(line))).toMatchObject({ kind: "refuse", status: 403 });
  });

  it.each([
    `Origin: http://127.0.0.1:${PORT}`,
    `Origin: http://localhost:${PORT}`,
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-Site: none",
    "Referer: https://evil.example/",
  ])("lets %s in", (line) => {
    expect(judge(local(line)).kind).toBe("pass");
  });

  it("is not fooled by a second, better header", () => {
    const both = local("Origin: https://evil.example", `Origin: http://127.0.0.1:${PORT}`);
    expect(judge(both)).toMatchObject({ kind: "refuse", status: 403 });
  });
});

describe("the key", () => {
  it.each(["Authorization: Bearer k3y", "authorization: bearer  k3y", "X-Api-Key: k3y", "api-key: k3y"])(
    "is taken from %s",
    (line) => {
      expect(judge(local(line), "k3y").kind).toBe("pass");
    },
  );

  it.each([
    "Authorization: Bearer k3",
    "Authorization: Bearer k3y2",
    "Authorization: Basic k3y",
    "X-Api-Key:",
    "X-Key: k3y",
  ])("is missing in %s", (line) => {
    expect(judge(local(line), "k3y")).toMatchObject({ kind: "refuse", status: 401, code: "unauthenticated" });
  });
});

describe("what two parsers could read differently", () => {
  const host = `Host: 127.0.0.1:${PORT}`;
  it.each([
    ["a bare LF between lines", `GET / HTTP/1.1\n${host}\r\n\r\n`],
    ["a bare LF inside a value", `GET / HTTP/1.1\r\n${host}\r\nX: a\nHost: evil\r\n\r\n`],
    ["a bare CR inside a value", `GET / HTTP/1.1\r\n${host}\r\nX: a\rHost: evil\r\n\r\n`],
    ["a folded line", `GET / HTTP/1.1\r\n${host}\r\nX: a\r\n Origin: https://evil\r\n\r\n`],
    ["a space before the colon", `GET / HTTP/1.1\r\n${host}\r\nOrigin : https://evil\r\n\r\n`],
    ["a NUL", `GET / HTTP/1.1\r\n${host}\r\nX: a\0b\r\n\r\n`],
    ["no colon", `GET / HTTP/1.1\r\n${host}\r\nOrigin\r\n\r\n`],
    ["an empty name", `GET / HTTP/1.1\r\n${host}\r\n: x\r\n\r\n`],
    ["an absolute target", `GET http://evil.example/ HTTP/1.1\r\n${host}\r\n\r\n`],
    ["CONNECT", `CONNECT evil.example:443 HTTP/1.1\r\n${host}\r\n\r\n`],
    ["two spaces", `GET  / HTTP/1.1\r\n${host}\r\n\r\n`],
    ["a target with a space", `GET /a b HTTP/1.1\r\n${host}\r\n\r\n`],
    ["what only begins as HTTP/2", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"],
    ["HTTP/0.9", "GET /\r\n\r\n"],
    ["an empty line first", `\r\nGET / HTTP/1.1\r\n${host}\r\n\r\n`],
    ["TLS", "\x16\x03\x01\x02\x00"],
  ])("refuses %s", (_name, head) => {
    expect(judge(head)).toMatchObject({ kind: "refuse", status: 400 });
  });

  it("says that the port speaks plain HTTP as soon as TLS begins", () => {
    expect(judge("\x16")).toMatchObject({ kind: "refuse", message: expect.stringContaining("http://") });
  });
});

describe("pieces", () => {
  it("reads a head that comes byte by byte, and hands all bytes on unchanged", () => {
    const bytes = Buffer.from(`${local("Content-Length: 4", "X: y")}body`, "latin1");
    const guard = new HeadGuard({ port: PORT });
    const end = bytes.indexOf("\r\n\r\n") + 4;
    for (let at = 0; at < end - 1; at += 1) expect(guard.push(bytes.subarray(at, at + 1)).kind).toBe("more");
    const verdict = guard.push(bytes.subarray(end - 1));
    expect(verdict.kind === "pass" && verdict.bytes.equals(bytes)).toBe(true);
  });

  it("judges the same however the head is split", () => {
    const bytes = Buffer.from(local("Origin: https://evil.example"), "latin1");
    for (let cut = 1; cut < bytes.length; cut += 1) {
      const guard = new HeadGuard({ port: PORT });
      const first = guard.push(bytes.subarray(0, cut));
      const last = first.kind === "more" ? guard.push(bytes.subarray(cut)) : first;
      expect(last).toMatchObject({ kind: "refuse", status: 403 });
    }
  });

  it("passes what is pipelined behind the first head along with it", () => {
    const bytes = Buffer.from(local() + local(), "latin1");
    const verdict = new HeadGuard({ port: PORT }).push(bytes);
    expect(verdict.kind === "pass" && verdict.bytes.length).toBe(bytes.length);
  });

  it("gives up on a head that grows past 64 KiB, in one piece or in many", () => {
    const long = local(`X: ${"a".repeat(MAX_HEAD_BYTES)}`);
    expect(judge(long)).toMatchObject({ kind: "refuse", status: 431 });
    const guard = new HeadGuard({ port: PORT });
    let verdict: GuardVerdict = { kind: "more" };
    let sent = 0;
    for (; verdict.kind === "more"; sent += 1) verdict = guard.push(Buffer.from(sent === 0 ? "G" : "a"));
    expect(verdict).toMatchObject({ kind: "refuse", status: 431 });
    expect(sent).toBeLessThan(MAX_HEAD_BYTES + 10);
  });
});
