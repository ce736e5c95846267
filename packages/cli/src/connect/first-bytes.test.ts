import { describe, expect, it } from "vitest";
import { beginningOf, postgresRefusal } from "./first-bytes.ts";
import { HeadGuard } from "./guard.ts";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
const startUp = (version: number, length = 8): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeInt32BE(length, 0);
  bytes.writeInt32BE(version, 4);
  return bytes;
};

describe("what a connection begins with", () => {
  it("is HTTP/2 with the whole preface alone", () => {
    for (let cut = 1; cut < PREFACE.length; cut++) expect(beginningOf(PREFACE.subarray(0, cut))).toBe("more");
    expect(beginningOf(Buffer.concat([PREFACE, Buffer.from("x")]))).toBe("http2");
    expect(beginningOf(Buffer.from("PRI / HTTP/1.1\r\n"))).toBe("http");
  });

  it("is PostgreSQL with a start-up packet of a version that there is", () => {
    expect(beginningOf(startUp(196_608))).toBe("postgres");
    expect(beginningOf(startUp(80_877_103))).toBe("postgres");
    expect(beginningOf(startUp(196_608).subarray(0, 7))).toBe("more");
    expect(beginningOf(startUp(0x0002_0000))).toBe("http");
    expect(beginningOf(startUp(196_608, 20_000))).toBe("http");
  });

  it("passes the guard so; and never where a key is asked for", () => {
    for (const bytes of [PREFACE, startUp(196_608)]) {
      expect(new HeadGuard({ port: 1 }).push(bytes).kind).toBe("pass");
      expect(new HeadGuard({ port: 1, key: "k" }).push(bytes).kind).toBe("refuse");
    }
  });

  it("is not passed in pieces as something else", () => {
    const guard = new HeadGuard({ port: 1 });
    for (const byte of PREFACE.subarray(0, -1)) expect(guard.push(Buffer.from([byte])).kind).toBe("more");
    expect(guard.push(PREFACE.subarray(-1)).kind).toBe("pass");
  });
});

it("tells a client of PostgreSQL in its own words", () => {
  const bytes = postgresRefusal("not now");
  expect(bytes.toString("latin1", 0, 1)).toBe("E");
  expect(bytes.readInt32BE(1)).toBe(bytes.length - 1);
  expect(bytes.toString()).toContain("C57P03\0Mhoopish: not now\0\0");
});
