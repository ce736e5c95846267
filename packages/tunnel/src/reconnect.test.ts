import { setTimeout as delay } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { dialTunnel } from "./dial.ts";
import { TunnelDialError } from "./dial-error.ts";
import { type ReconnectState, reconnecting } from "./reconnect.ts";
import { startServer } from "./test-server.ts";
import type { Tunnel } from "./tunnel.ts";

const passing = () => new TunnelDialError({ code: "unreachable", message: "down", fatal: false });
const kinds = (states: ReconnectState[]) => states.map(({ kind }) => kind).join(" ");

test("dials again when the tunnel breaks, and tells what it does", async () => {
  await using server = await startServer();
  const states: ReconnectState[] = [];
  const connection = reconnecting((signal) => dialTunnel(server.url, { signal }), {
    minDelayMs: 1,
    onState: (state) => states.push(state),
  });
  const first = await connection.connected();
  expect(connection.tunnel).toBe(first);
  first.terminate();
  await vi.waitFor(() => expect(connection.tunnel).toBeDefined());
  const second = await connection.connected();
  expect(second).not.toBe(first);
  connection.stop();
  expect(await connection.stopped).toBeUndefined();
  expect(kinds(states)).toBe("connecting connected waiting connecting connected stopped");
  await second.closed;
  await expect(connection.connected()).rejects.toThrow();
});

test("waits a random part of a doubling ceiling", async () => {
  const delays: number[] = [];
  const connection = reconnecting(() => Promise.reject(passing()), {
    minDelayMs: 4,
    maxDelayMs: 32,
    jitter: () => 0.5,
    onState: (state) => {
      if (state.kind === "waiting") delays.push(state.delayMs);
      if (delays.length === 6) connection.stop();
    },
  });
  await connection.stopped;
  expect(delays).toEqual([2, 4, 8, 16, 16, 16]);
});

test("waits as long as the server asks, within the ceiling", async () => {
  const refusal = new TunnelDialError({ code: "rate_limited", message: "", fatal: false, retryAfterMs: 40 });
  const delays: number[] = [];
  const connection = reconnecting(() => Promise.reject(refusal), {
    minDelayMs: 1,
    maxDelayMs: 30,
    onState: (state) => {
      if (state.kind !== "waiting") return;
      delays.push(state.delayMs);
      connection.stop();
    },
  });
  await connection.stopped;
  expect(delays).toEqual([30]);
});

test("a fatal error stops it, and whoever waits learns why", async () => {
  const fatal = new TunnelDialError({ code: "unauthenticated", message: "no", fatal: true, status: 401 });
  const dial = vi.fn(() => Promise.reject(fatal));
  const connection = reconnecting(dial);
  await expect(connection.connected()).rejects.toBe(fatal);
  expect(await connection.stopped).toBe(fatal);
  expect(connection.state).toEqual({ kind: "stopped", error: fatal });
  expect(dial).toHaveBeenCalledTimes(1);
});

test("a tunnel that drains is replaced at once, and its streams finish", async () => {
  await using server = await startServer({
    tunnel: {
      onStream: (stream) => {
        stream.handler = { onData: () => {}, onEnd: () => stream.end(Buffer.from("done")), onReset: () => {} };
      },
    },
  });
  const connection = reconnecting((signal) => dialTunnel(server.url, { signal }), { minDelayMs: 1, stableMs: 0 });
  const first = await connection.connected();
  const answer = Promise.withResolvers<string>();
  const handler = { onData: (chunk: Buffer) => answer.resolve(String(chunk)), onEnd: () => {}, onReset: answer.reject };
  const stream = first.open({}, handler);
  await vi.waitFor(() => expect(first.rttMs).toBeGreaterThan(0));
  for (const tunnel of server.handle.tunnels) tunnel.goAway();
  await first.draining;
  const second = await connection.connected();
  expect(second).not.toBe(first);
  stream.end();
  expect(await answer.promise).toBe("done");
  await first.closed;
  connection.stop();
  await second.closed;
});

test("stopping during a wait, a dial, or before the start", async () => {
  const waiting = reconnecting(() => Promise.reject(passing()), { minDelayMs: 60_000, jitter: () => 0.99 });
  await vi.waitFor(() => expect(waiting.state.kind).toBe("waiting"));
  waiting.stop();
  expect(await waiting.stopped).toBeUndefined();

  const dialling = reconnecting(
    (signal) => new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(passing()))),
  );
  await delay(5);
  dialling.stop();
  expect(await dialling.stopped).toBeUndefined();

  const dial = vi.fn(() => Promise.reject(passing()));
  await reconnecting(dial, { signal: AbortSignal.abort() }).stopped;
  expect(dial).not.toHaveBeenCalled();
});

test("a tunnel that is stopped while it was being dialled is not left open", async () => {
  await using server = await startServer();
  const dialled = Promise.withResolvers<Tunnel>();
  const connection = reconnecting(async () => {
    const tunnel = await dialTunnel(server.url);
    connection.stop();
    dialled.resolve(tunnel);
    return tunnel;
  });
  await (await dialled.promise).closed;
  expect(await connection.stopped).toBeUndefined();
});

test("connected() can be given up", async () => {
  const giveUp = new AbortController();
  const connection = reconnecting(() => new Promise(() => {}));
  const waiting = connection.connected(giveUp.signal);
  giveUp.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  connection.stop();
});
