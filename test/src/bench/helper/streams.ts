import { setTimeout as sleep } from "node:timers/promises";
import { quantile } from "../stats.ts";
import type { Endpoint } from "./jobs.ts";
import { eventsOf, type StreamAsk, streamChat } from "./sse.ts";
import { rewind, stamped } from "./tap.ts";

export interface FirstEventsAsk {
  readonly endpoints: readonly Endpoint[];
  readonly pairs: number;
}

/** The paths take turns, so that each has its direct neighbour. */
export async function firstEvents({ endpoints, pairs }: FirstEventsAsk): Promise<number[][]> {
  const times = endpoints.map((): number[] => []);
  for (let pair = 0; pair < pairs; pair++) {
    for (const [index, endpoint] of endpoints.entries()) {
      const { startMs, eventMs } = await streamChat({ ...endpoint, tokens: 1, tokenDelayMs: 0 });
      times[index]?.push((eventMs[0] ?? Number.NaN) - startMs);
    }
  }
  return times;
}

export type PacedAsk = StreamAsk;

export interface PacedDone {
  /** From the tap to the client, an event each, milliseconds. */
  readonly delayMs: readonly number[];
  /** Places of the events that arrived only after the next one had left the model server. */
  readonly waited: readonly number[];
  /** Events that left the model server and did not arrive. */
  readonly lost: number;
  readonly events: number;
}

/** One stream through the tap, measured event by event. */
export async function paced(ask: PacedAsk): Promise<PacedDone> {
  rewind();
  const { eventMs, whole } = await streamChat(ask);
  const sent = stamped();
  const delayMs = eventMs.slice(0, sent.length).map((at, event) => at - (sent[event] ?? Number.NaN));
  // The last two events leave at once after the last token: there is no time between them to wait for.
  const waited = eventMs.flatMap((at, event) => {
    const next = sent[event + 1] ?? Number.POSITIVE_INFINITY;
    return event < ask.tokens && at >= next ? [event] : [];
  });
  const lost = whole ? Math.max(0, eventsOf(ask.tokens) - eventMs.length) : eventsOf(ask.tokens) - eventMs.length || 1;
  return { delayMs, waited, lost, events: eventMs.length };
}

export interface ManyStreamsAsk extends StreamAsk {
  readonly streams: number;
  /** A way that loses nothing, to learn what the answer must be. */
  readonly reference: Endpoint;
  /** The streams begin evenly spread over so long. */
  readonly overMs: number;
}

export interface ManyStreamsDone {
  /** Streams with every event, in order, and a proper end. */
  readonly whole: number;
  readonly lostEvents: number;
  /** Streams whose text is not the text that the model wrote: events lost, doubled or out of order. */
  readonly wrongText: number;
  readonly failed: readonly string[];
  readonly eventsPerSecond: number;
  /** Between two events of a stream, milliseconds. */
  readonly gapP50Ms: number;
  readonly gapP99Ms: number;
}

/** Many streams at one time; each must be what a lone one is. */
export async function manyStreams(ask: ManyStreamsAsk): Promise<ManyStreamsDone> {
  const expected = await streamChat({ ...ask.reference, tokens: ask.tokens, tokenDelayMs: 0 });
  const begun = performance.now();
  const settled = await Promise.allSettled(
    Array.from({ length: ask.streams }, async (_, index) => {
      await sleep((ask.overMs * index) / ask.streams);
      return streamChat(ask);
    }),
  );
  const seconds = (performance.now() - begun) / 1000;
  const streams = settled.filter((one) => one.status === "fulfilled").map((one) => one.value);
  const gaps = streams.flatMap(({ eventMs }) =>
    eventMs.slice(1).map((at, event) => at - (eventMs[event] ?? Number.NaN)),
  );
  const events = streams.reduce((sum, { eventMs }) => sum + eventMs.length, 0);
  const right = streams.filter(({ whole, text }) => whole && text === expected.text);
  return {
    whole: right.filter(({ eventMs }) => eventMs.length === eventsOf(ask.tokens)).length,
    lostEvents: ask.streams * eventsOf(ask.tokens) - events,
    wrongText: streams.filter(({ text }) => text !== expected.text).length,
    failed: settled
      .filter((one) => one.status === "rejected")
      .map((one) => String(one.reason))
      .slice(0, 3),
    eventsPerSecond: events / seconds,
    gapP50Ms: quantile(gaps, 0.5),
    gapP99Ms: quantile(gaps, 0.99),
  };
}
