import { TunnelErrorCode } from "@hoopish/protocol";
import type { Tunnel } from "@hoopish/tunnel";
import { afterEach, describe, expect, it } from "vitest";
import { open, send, type TestCall, until } from "../testing/call.ts";
import { connectionTo, openPair } from "../testing/tunnel-pair.ts";
import { httpUpstream } from "../testing/upstreams.ts";

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Ways in which a call can end badly or early; the next one comes over the same client. */
const ENDS: readonly [string, (server: Tunnel, reached: () => Promise<void>) => Promise<TestCall>][] = [
  [
    "was cancelled before its answer",
    async (server, reached) => {
      const call = open(server, { path: "/hang" });
      await reached();
      call.stream.reset(TunnelErrorCode.CANCEL);
      return call;
    },
  ],
  [
    "was cancelled within its answer",
    async (server) => {
      const call = open(server, { path: "/begin" });
      await call.head;
      call.stream.reset(TunnelErrorCode.CANCEL);
      return call;
    },
  ],
  [
    "was cancelled within its upload",
    async (server, reached) => {
      const call = open(server, { method: "POST", path: "/hang", keepOpen: true });
      call.stream.write(Buffer.alloc(100_000));
      await reached();
      call.stream.reset(TunnelErrorCode.CANCEL);
      return call;
    },
  ],
  [
    "was answered within its upload",
    async (server) => {
      const call = open(server, { method: "POST", path: "/early", keepOpen: true });
      call.stream.write(Buffer.alloc(100_000));
      await call.done;
      return call;
    },
  ],
  [
    "was broken off by the model server",
    async (server) => {
      const call = open(server, { path: "/break" });
      await call.done;
      return call;
    },
  ],
  [
    "took too long",
    async (server) => {
      const call = open(server, { path: "/hang", timeoutMs: 50 });
      await call.done;
      return call;
    },
  ],
  [
    "had a body of another length than it said",
    async (server, reached) => {
      const call = open(server, { method: "POST", path: "/hang", keepOpen: true, length: 200_000 });
      call.stream.write(Buffer.alloc(100_000));
      await reached();
      call.stream.end();
      await call.done;
      return call;
    },
  ],
];

describe("after a call that", () => {
  it.each(ENDS)("%s, its client serves the calls that wait and those that come", async (_, end) => {
    const seen: (string | undefined)[] = [];
    const upstream = await httpUpstream((request, response) => {
      seen.push(request.url);
      request.on("error", () => {});
      switch (request.url) {
        case "/begin":
          return void response.write("begun");
        case "/early":
          return void response.end("early");
        case "/break":
          return void response.write("begun", () => request.socket.destroy());
        case "/hang":
          return void request.resume();
        default:
          request.resume().on("end", () => response.end(`served ${request.url}`));
      }
    });
    closing.push(upstream.close);
    const pair = await openPair([connectionTo(upstream.url, { pool: { connections: 1, keepAliveMs: 4_000 } })]);
    closing.push(pair.close);

    const ending = end(pair.server, () => until("it reached the model server", () => seen.includes("/hang")));
    const waiting = [1, 2, 3].map((n) => send(pair.server, { path: `/wait/${n}`, body: `body ${n}` }));
    await ending;
    const served = await Promise.all(waiting);
    expect(served.map(({ body }) => body.toString())).toEqual(["served /wait/1", "served /wait/2", "served /wait/3"]);
    for (let n = 0; n < 3; n++)
      expect((await send(pair.server, { path: "/after" })).body.toString()).toBe("served /after");
    expect(pair.serving.inFlight).toBe(0);
  });
});
