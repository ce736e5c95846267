/**
 * What one hop costs: `npm run bench -w packages/tunnel`. Two processes on this machine, a plain WebSocket over loopback;
 * the last part puts a relay between them that behaves like a link of 20 ms and 100 Mbit/s.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { Agent, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { dialTunnel, type StreamHandler, type Tunnel, toDuplex } from "@hoopish/tunnel";
import { openLink } from "../src/test-link.ts";

const only = process.argv[2];
const BODY = Buffer.from(JSON.stringify({ messages: "x".repeat(200) }));
const HEADERS = { method: "POST", path: "/v1/chat/completions", headers: { "content-type": "application/json" } };

const peer: ChildProcess = fork(
  new URL("./peer.ts", import.meta.url),
  process.execArgv.includes("--cpu-prof") ? { execArgv: process.execArgv } : {},
);
const [{ port, floorPort }] = (await once(peer, "message")) as [{ port: number; floorPort: number }];
const url = `ws://127.0.0.1:${port}/tunnel`;

if (only === undefined || only === "floor") await floor();
if (only === undefined || only === "frames") {
  for (const concurrency of [1, 32]) await measure("stream a request, frames", concurrency, frameRequests);
}
if (only === undefined || only === "http") {
  for (const concurrency of [1, 32]) await measure("toDuplex + node:http, keep-alive", concurrency, httpRequests);
}
if (only === undefined || only === "bulk") {
  for (let i = 0; i < 3; i++) {
    await bulk("down (server → client)", 512 * 1024 * 1024, download);
    await bulk("up (client → server, masked)", 512 * 1024 * 1024, upload);
  }
}
if (only === undefined || only === "link") {
  for (const roundTripMs of [20, 40]) await tokensBesideBulk(roundTripMs);
}
peer.disconnect();

type Load = (tunnel: Tunnel, concurrency: number, requests: number) => Promise<void>;

async function measure(name: string, concurrency: number, load: Load): Promise<void> {
  const tunnel = await dialTunnel(url);
  const requests = concurrency === 1 ? 20_000 : 100_000;
  await load(tunnel, concurrency, requests / 2);
  const before = await cpu();
  const start = performance.now();
  await load(tunnel, concurrency, requests);
  const us = ((performance.now() - start) * 1000) / requests;
  const after = await cpu();
  const own = (after.own - before.own) / requests;
  const theirs = (after.theirs - before.theirs) / requests;
  console.log(
    `${name}, ${concurrency} at once: ${us.toFixed(1)} µs a request; CPU ${own.toFixed(1)} + ${theirs.toFixed(1)} µs; rtt ${tunnel.rttMs?.toFixed(2)} ms`,
  );
  tunnel.close();
  await tunnel.closed;
}

/** What the machine takes for the same bytes on a bare TCP connection: no tunnel can be below it at one at a time. */
async function floor(): Promise<void> {
  const socket = connect({ port: floorPort, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const requests = 20_000;
  const run = () =>
    new Promise<void>((resolve) => {
      let left = requests;
      const onData = () => {
        left -= 1;
        if (left > 0) socket.write(BODY);
        else {
          socket.off("data", onData);
          resolve();
        }
      };
      socket.on("data", onData);
      socket.write(BODY);
    });
  await run();
  const before = await cpu();
  const start = performance.now();
  await run();
  const us = ((performance.now() - start) * 1000) / requests;
  const after = await cpu();
  const each = (after_: number, before_: number) => ((after_ - before_) / requests).toFixed(1);
  console.log(
    `bare TCP echo, 1 at once: ${us.toFixed(1)} µs; CPU ${each(after.own, before.own)} + ${each(after.theirs, before.theirs)} µs`,
  );
  socket.destroy();
}

async function cpu(): Promise<{ own: number; theirs: number }> {
  peer.send("cpu");
  const [{ cpu: theirs }] = (await once(peer, "message")) as [{ cpu: NodeJS.CpuUsage }];
  const own = process.cpuUsage();
  return { own: own.user + own.system, theirs: theirs.user + theirs.system };
}

function frameRequests(tunnel: Tunnel, concurrency: number, requests: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let started = 0;
    let finished = 0;
    const handler: StreamHandler = {
      onHeaders: () => {},
      onData: (chunk, stream) => stream.consumed(chunk.length),
      onEnd: () => {
        finished += 1;
        if (finished === requests) resolve();
        else next();
      },
      onReset: reject,
    };
    const next = () => {
      if (started === requests) return;
      started += 1;
      tunnel.open(HEADERS, handler, { body: BODY, endStream: true });
    };
    for (let i = 0; i < concurrency; i++) next();
  });
}

async function httpRequests(tunnel: Tunnel, concurrency: number, requests: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  Object.assign(agent, { createConnection: () => toDuplex(tunnel.open({ do: "http" })) });
  let left = requests;
  const worker = async () => {
    while (left-- > 0) {
      await new Promise<void>((resolve, reject) => {
        const request = httpRequest(
          { agent, method: "POST", path: HEADERS.path, headers: { "content-length": BODY.length } },
          (response) => {
            response.resume();
            response.on("end", resolve);
          },
        );
        request.on("error", reject);
        request.end(BODY);
      });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  agent.destroy();
}

async function bulk(
  name: string,
  bytes: number,
  run: (tunnel: Tunnel, bytes: number) => Promise<number>,
): Promise<void> {
  const tunnel = await dialTunnel(url);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const before = await cpu();
  const start = performance.now();
  const got = await run(tunnel, bytes);
  const seconds = (performance.now() - start) / 1000;
  const after = await cpu();
  const perMiB = (us: number) => (us / (bytes / 2 ** 20)).toFixed(0);
  console.log(
    `bulk ${name}: ${(got / 1e6 / seconds).toFixed(0)} MB/s; CPU ${perMiB(after.own - before.own)} + ${perMiB(after.theirs - before.theirs)} µs a MiB`,
  );
  tunnel.close();
  await tunnel.closed;
}

function download(tunnel: Tunnel, bytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let got = 0;
    tunnel.open(
      { do: "source", bytes },
      {
        onData: (chunk, stream) => {
          got += chunk.length;
          stream.consumed(chunk.length);
        },
        onEnd: () => resolve(got),
        onReset: reject,
      },
    );
  });
}

function upload(tunnel: Tunnel, bytes: number): Promise<number> {
  const block = Buffer.alloc(64 * 1024, 0x61);
  return new Promise((resolve, reject) => {
    let left = bytes;
    const fill = () => {
      while (left > 0) {
        left -= block.length;
        if (!stream.write(block)) return;
      }
      stream.end();
    };
    const stream = tunnel.open(
      { do: "sink" },
      {
        onData: (chunk) => resolve(Number(chunk.toString())),
        onEnd: () => {},
        onReset: reject,
        onDrain: fill,
      },
    );
    fill();
  });
}

/** Median delay of tokens, alone and while the same tunnel carries a bulk transfer the same way. */
async function tokensBesideBulk(roundTripMs: number): Promise<void> {
  const link = await openLink(port, { delayMs: roundTripMs / 2, bitsPerSecond: 100e6, queueBytes: 256 * 1024 });
  const tunnel = await dialTunnel(`ws://127.0.0.1:${link.port}/tunnel`);
  await tokenDelays(tunnel, 20);
  const base = await tokenDelays(tunnel, 200);
  const bytes = 120e6;
  let got = 0;
  let window = 0;
  const bulkStart = performance.now();
  const bulkStream = tunnel.open(
    { do: "source", bytes },
    {
      onData: (chunk, stream) => {
        got += chunk.length;
        stream.consumed(chunk.length);
      },
      onEnd: () => {},
      onReset: () => {},
    },
  );
  await new Promise((resolve) => setTimeout(resolve, 500));
  const beside = await tokenDelays(tunnel, 250);
  const rate = (got * 8) / 1000 / (performance.now() - bulkStart);
  window = (bulkStream as unknown as { window: { size: number } }).window.size;
  const show = (delays: number[]) => `median ${at(delays, 0.5).toFixed(1)}, 95 % ${at(delays, 0.95).toFixed(1)} ms`;
  console.log(
    `link ${roundTripMs} ms round trip, 100 Mbit/s: tokens alone ${show(base)}; beside bulk ${show(beside)}; bulk ${rate.toFixed(0)} Mbit/s, its window ${(window / 1024).toFixed(0)} KiB; rtt ${tunnel.rttMs?.toFixed(1)} ms`,
  );
  tunnel.terminate();
  link.close();
}

function tokenDelays(tunnel: Tunnel, count: number): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const delays: number[] = [];
    tunnel.open(
      { do: "tokens", everyMs: 10, count },
      {
        onData: (chunk, stream) => {
          const now = performance.timeOrigin + performance.now();
          for (const line of chunk.toString().trim().split("\n")) delays.push(now - Number(line));
          stream.consumed(chunk.length);
        },
        onEnd: () => resolve(delays),
        onReset: reject,
      },
    );
  });
}

function at(values: number[], quantile: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * quantile)] ?? Number.NaN;
}
