import { setTimeout as sleep } from "node:timers/promises";
import { HoopishError } from "@hoopish/protocol";
import type { SealCheck } from "@hoopish/protocol/bundle";
import { networkError } from "../http/network-error.ts";

/** Where the bytes go, in order. */
export interface Sink {
  /** How many it has. */
  readonly bytes: number;
  /** @throws HoopishError when it takes no more, which ends the download */
  write(bytes: Uint8Array): Promise<void>;
}

export interface DownloadPorts {
  /** The bundle from a byte on. Reading fails when the connection breaks. @throws HoopishError of the server */
  readonly open: (offset: number) => Promise<AsyncIterable<Uint8Array>>;
  readonly sink: Sink;
  /** Has been shown what the sink had before. */
  readonly seal: SealCheck;
  readonly signal: AbortSignal;
  /** The connection broke, and is tried again after a pause. */
  readonly onBreak: (at: { readonly bytes: number; readonly waitMs: number }) => void;
  /** Before the first new try; each further one in vain waits twice as long. */
  readonly firstPauseMs?: number;
}

/** In a row and in vain; with the pauses that is about two minutes. */
const MAX_IN_VAIN = 8;
/** Also when each of them brings something: whoever cuts after every byte does not keep us for ever. */
const MAX_BREAKS = 200;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Brings a bundle into the sink, and goes on where it was when the connection breaks.
 * @param first the stream that was opened already, at what the sink has
 * @throws HoopishError `unreachable` when it breaks again and again; `conflict` when what came is not one whole bundle
 */
export async function download(first: AsyncIterable<Uint8Array> | undefined, ports: DownloadPorts): Promise<void> {
  const { sink, seal, signal, onBreak, firstPauseMs = 500 } = ports;
  let body = first;
  let inVain = 0;
  for (let breaks = 0; ; ) {
    const before = sink.bytes;
    try {
      body ??= await ports.open(before);
      await pour(body, sink, seal);
      break;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof HoopishError && !error.shape.retryable) throw error;
      inVain = sink.bytes > before ? 1 : inVain + 1;
      breaks += 1;
      if (inVain > MAX_IN_VAIN || breaks > MAX_BREAKS) throw broken(error);
      // Spread out: all that a restart has cut off should not come back in one moment.
      const waitMs = Math.min(firstPauseMs * 2 ** (inVain - 1), LONGEST_PAUSE_MS) * (0.75 + Math.random() / 2);
      onBreak({ bytes: sink.bytes, waitMs });
      await sleep(waitMs, undefined, { signal });
      body = undefined;
    }
  }
  if (!seal.sealed) throw notWhole();
}

async function pour(body: AsyncIterable<Uint8Array>, sink: Sink, seal: SealCheck): Promise<void> {
  for await (const bytes of body) {
    await sink.write(bytes);
    seal.push(bytes);
  }
}

function broken(cause: unknown): HoopishError {
  const { hint, message } = cause instanceof HoopishError ? cause : networkError(cause, "the server");
  return new HoopishError("unreachable", `the export breaks off again and again: ${message}`, {
    ...(hint !== undefined && { hint }),
    cause,
  });
}

/** The bundle's own seal is over all of its bytes: parts of two makings that differ are found here. */
function notWhole(): HoopishError {
  return new HoopishError("conflict", "what came is not one whole bundle: it does not end with the seal of its bytes", {
    hint: "it may have changed while it was being fetched, as by a purge: export anew, with --force",
  });
}
