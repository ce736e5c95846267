import { Agent, type IncomingMessage, request } from "node:http";
import type { Endpoint } from "./jobs.ts";
import { countEvents } from "./tap.ts";

export interface StreamAsk extends Endpoint {
  readonly tokens: number;
  readonly tokenDelayMs: number;
}

/** One streamed chat answer, as it arrived; times are performance.now(). */
export interface Arrived {
  readonly startMs: number;
  /** When the end of each event arrived. */
  readonly eventMs: readonly number[];
  /** The tokens put together. */
  readonly text: string;
  /** The stream said `[DONE]` and its body ended as it should. */
  readonly whole: boolean;
}

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

/** Before the first token the role, after the last one the reason for the end and `[DONE]`. */
export const eventsOf = (tokens: number): number => tokens + 3;

/** Streams one chat completion. @throws Error when there is no answer with status 200. */
export function streamChat(ask: StreamAsk): Promise<Arrived> {
  const body = JSON.stringify({
    model: "credit-policy-writer",
    stream: true,
    max_tokens: ask.tokens,
    messages: [{ role: "user", content: "write 5000 words" }],
  });
  return new Promise((resolve, reject) => {
    const startMs = performance.now();
    const asked = request(`${ask.origin}/v1/chat/completions`, {
      agent,
      method: "POST",
      headers: {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
        "x-test-token-delay": String(ask.tokenDelayMs),
        ...ask.headers,
      },
    });
    asked.on("error", reject);
    asked.on("response", (response) => resolve(arrive(response, startMs)));
    asked.end(body);
  });
}

async function arrive(response: IncomingMessage, startMs: number): Promise<Arrived> {
  const eventMs: number[] = [];
  const chunks: Buffer[] = [];
  let afterNewline = false;
  const complete = await new Promise<boolean>((resolve) => {
    response.on("data", (chunk: Buffer) => {
      const now = performance.now();
      const seen = countEvents(chunk, afterNewline);
      afterNewline = seen.afterNewline;
      for (let event = 0; event < seen.events; event++) eventMs.push(now);
      chunks.push(chunk);
    });
    response.on("close", () => resolve(response.complete));
  });
  const body = Buffer.concat(chunks).toString();
  if (response.statusCode !== 200)
    throw new Error(`a stream was answered ${response.statusCode}: ${body.slice(0, 300)}`);
  const events = body.split("\n\n").map((event) => event.replace(/^data: /, ""));
  return { startMs, eventMs, text: textOf(events), whole: complete && events.includes("[DONE]") };
}

interface Chunk {
  readonly choices?: readonly { readonly delta?: { readonly content?: string | null } }[];
}

function textOf(events: readonly string[]): string {
  return events
    .filter((event) => event.startsWith("{"))
    .map((event) => (JSON.parse(event) as Chunk).choices?.[0]?.delta?.content ?? "")
    .join("");
}
