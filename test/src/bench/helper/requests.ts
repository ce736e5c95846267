import autocannon from "autocannon";
import { quantile } from "../stats.ts";
import type { Endpoint } from "./jobs.ts";

export interface RequestsAsk extends Endpoint {
  readonly path: string;
  readonly body: string;
  readonly connections: number;
  /** Before the window that is measured: connections open, code gets warm. */
  readonly warmMs: number;
  readonly measureMs: number;
}

export interface RequestsDone {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** All answers, warm-up included: what the processes' CPU time is divided by. */
  readonly answers: number;
  /** Answers that were no 200, broken connections, timeouts. */
  readonly failed: number;
}

/**
 * Drives autocannon. Latencies are taken from its events, because its own histogram knows whole milliseconds only, and
 * the rate from the answers within the window.
 */
export function requests(ask: RequestsAsk): Promise<RequestsDone> {
  const { origin, path, headers, body, connections, warmMs, measureMs } = ask;
  const begin = performance.now() + warmMs;
  const end = begin + measureMs;
  const latencies: number[] = [];
  let answers = 0;
  let failed = 0;
  return new Promise((resolve, reject) => {
    const run = autocannon(
      {
        url: origin + path,
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body,
        connections,
        duration: (warmMs + measureMs) / 1000,
        // It looks only at each sample's end whether the time is over.
        sampleInt: 25,
        timeout: 10,
      },
      (error, result) => {
        if (error) return reject(error instanceof Error ? error : new Error(String(error)));
        resolve({
          perSecond: latencies.length / (measureMs / 1000),
          p50Ms: quantile(latencies, 0.5),
          p99Ms: quantile(latencies, 0.99),
          answers,
          failed: failed + result.errors + result.timeouts,
        });
      },
    );
    run.on("response", (_client, status, _bytes, ms) => {
      const now = performance.now();
      answers += 1;
      if (status !== 200) failed += 1;
      if (now >= begin && now < end) latencies.push(ms);
    });
  });
}
