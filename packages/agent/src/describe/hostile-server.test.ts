import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { connectionTo } from "../testing/tunnel-pair.ts";
import { describeConnection } from "./describe-connection.ts";
import type { Description } from "./gather.ts";

/** What a server may send that @grpc/grpc-js would not: bytes of its own in answer to the first question. */

const closing: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});
async function against(answer: (stream: ServerHttp2Stream) => void, deadlineMs = 10_000): Promise<Description> {
  const server = createServer();
  server.on("session", (session) => closing.push(() => session.destroy()));
  server.on("stream", (stream) => {
    stream.on("error", () => undefined);
    answer(stream);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close());
  const config = connectionTo(`grpc://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return describeConnection(config, { env: {}, signal: new AbortController().signal, deadlineMs });
}
const GRPC = { ":status": 200, "content-type": "application/grpc" };
const bytes =
  (...sent: readonly Buffer[]) =>
  (stream: ServerHttp2Stream): void => {
    stream.respond(GRPC);
    for (const one of sent) stream.write(one);
  };
const frame = (message: Buffer, flag = 0): Buffer => {
  const prefix = Buffer.from([flag, 0, 0, 0, 0]);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
};
const NO_SERVICES = Buffer.from([0x32, 0]);

describe("a hostile server", () => {
  it.each([
    ["an unknown flag", bytes(frame(NO_SERVICES, 7)), /compressed, or none of gRPC/],
    ["a compressed message", bytes(frame(NO_SERVICES, 1)), /compressed, or none of gRPC/],
    ["a length of 4 GiB", bytes(Buffer.from([0, 0xff, 0xff, 0xff, 0xff])), /more than 16 MiB/],
    ["a message that breaks off", bytes(frame(Buffer.from([0x32, 9, 1]))), /a message breaks off/],
    ["a group", bytes(frame(Buffer.from([0x33]))), /a group/],
    ["field 0", bytes(frame(Buffer.from([2, 0]))), /no good number/],
    ["a number without an end", bytes(frame(Buffer.alloc(32, 0xff))), /more than 64 bits/],
    ["HTML", (stream: ServerHttp2Stream) => stream.respond({ "content-type": "text/html" }), /not in gRPC/],
    ["404", (stream: ServerHttp2Stream) => stream.respond({ ":status": 404 }), /has no reflection/],
    ["502", (stream: ServerHttp2Stream) => stream.respond({ ":status": 502 }), /status 2 "HTTP status 502"/],
    [
      "a status in its head",
      (stream: ServerHttp2Stream) => stream.respond({ ...GRPC, "grpc-status": "12" }),
      /no reflection/,
    ],
    [
      "a status that is none",
      (stream: ServerHttp2Stream) => stream.respond({ ...GRPC, "grpc-status": "x" }),
      /without a status/,
    ],
    ["an end", (stream: ServerHttp2Stream) => stream.respond(GRPC, { endStream: true }), /without a status/],
    [
      "status 0 too early",
      (stream: ServerHttp2Stream) => stream.respond({ ...GRPC, "grpc-status": "0" }),
      /before all was asked/,
    ],
    ["a reset", (stream: ServerHttp2Stream) => stream.close(2), /broke HTTP\/2 off|broke its answer off/],
    ["two answers to one question", bytes(Buffer.concat([frame(NO_SERVICES), frame(NO_SERVICES)])), undefined],
  ])("sends %s", async (_, answer, why) => {
    if (why === undefined) expect((await against(answer)).services).toEqual([]);
    else await expect(against(answer)).rejects.toMatchObject({ message: expect.stringMatching(why) });
  });

  it("sends an answer byte by byte", async () => {
    const all = frame(NO_SERVICES);
    expect((await against(bytes(...Array.from(all, (_, i) => all.subarray(i, i + 1))))).services).toEqual([]);
  });

  it.each([
    ["nothing", () => undefined],
    ["only a head", bytes()],
    ["half a prefix", bytes(Buffer.alloc(3))],
    ["one byte at a time, for ever", drip],
    ["informational answers, for ever", inform],
  ])("sends %s: the deadline ends it", async (_, answer) => {
    await expect(against(answer, 300)).rejects.toMatchObject({ code: "upstream_timeout" });
  });
});

/** A message of 16 MiB that never comes to its end. */
function drip(stream: ServerHttp2Stream): void {
  bytes(Buffer.from([0, 1, 0, 0, 0]))(stream);
  const timer = setInterval(() => stream.write(Buffer.alloc(1)), 1);
  stream.on("close", () => clearInterval(timer));
}

function inform(stream: ServerHttp2Stream): void {
  const timer = setInterval(() => stream.additionalHeaders({ ":status": 103 }), 1);
  stream.on("close", () => clearInterval(timer));
}
