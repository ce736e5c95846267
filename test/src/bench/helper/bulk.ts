import { createHash } from "node:crypto";
import { once } from "node:events";
import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { hugeBody, hugeSha256 } from "@hoopish/fixtures";
import type { Endpoint } from "./jobs.ts";

export interface BulkAsk extends Endpoint {
  readonly bytes: number;
}
export interface BulkDone {
  readonly seconds: number;
  /** Every byte arrived, by length and SHA-256. */
  readonly right: boolean;
}
export interface BulkFlow {
  readonly bytes: number;
  readonly seconds: number;
}

const agent = new Agent({ keepAlive: true });
const checksums = new Map<number, string>();

function checksum(bytes: number): string {
  const sha256 = checksums.get(bytes) ?? hugeSha256(bytes);
  checksums.set(bytes, sha256);
  return sha256;
}

/** Any route will do: the fixture's mode `huge` answers in its place. */
export const hugePath = (bytes: number): string => `/v2/health/live?mode=huge&bytes=${bytes}`;

export async function bulkDown({ origin, headers, bytes }: BulkAsk): Promise<BulkDone> {
  const wanted = checksum(bytes);
  const start = performance.now();
  const asked = request(origin + hugePath(bytes), { agent, headers });
  asked.end();
  const hash = createHash("sha256");
  const got = await receive(asked, (chunk) => hash.update(chunk));
  const seconds = (performance.now() - start) / 1000;
  return { seconds, right: got === bytes && hash.digest("hex") === wanted };
}

export async function bulkUp({ origin, headers, bytes }: BulkAsk): Promise<BulkDone> {
  const wanted = checksum(bytes);
  const start = performance.now();
  const asked = request(`${origin}/test/sink`, {
    agent,
    method: "POST",
    headers: { "content-type": "application/json", "content-length": bytes, ...headers },
  });
  const answer: Buffer[] = [];
  const received = receive(asked, (chunk) => answer.push(chunk));
  for (const piece of hugeBody(bytes)) if (!asked.write(piece)) await Promise.race([once(asked, "drain"), received]);
  asked.end();
  await received;
  const seconds = (performance.now() - start) / 1000;
  const seen = JSON.parse(Buffer.concat(answer).toString()) as { bytes: number; sha256: string };
  return { seconds, right: seen.bytes === bytes && seen.sha256 === wanted };
}

let stop: (() => void) | undefined;

export async function bulkLoop({ origin, headers, bytes }: BulkAsk): Promise<BulkFlow> {
  const start = performance.now();
  let got = 0;
  let stopped = false;
  while (!stopped) {
    const asked = request(origin + hugePath(bytes), { agent, headers });
    stop = () => {
      stopped = true;
      asked.destroy();
    };
    asked.end();
    await receive(asked, (chunk) => {
      got += chunk.length;
    }).catch((error: unknown) => {
      if (!stopped) throw error;
    });
  }
  return { bytes: got, seconds: (performance.now() - start) / 1000 };
}

export async function bulkStop(): Promise<void> {
  stop?.();
}

/** Reads the answer to its end. @throws Error when it is no 200, or breaks off. */
async function receive(asked: ClientRequest, onChunk: (chunk: Buffer) => void): Promise<number> {
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  let bytes = 0;
  let refusal = "";
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (response.statusCode === 200) onChunk(chunk);
    else refusal += chunk.toString();
  });
  await once(response, "close");
  if (response.statusCode !== 200)
    throw new Error(`a transfer was answered ${response.statusCode}: ${refusal.slice(0, 300)}`);
  if (!response.complete) throw new Error(`a transfer broke off after ${bytes} bytes`);
  return bytes;
}
