import { rm } from "node:fs/promises";
import { Transform, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { HoopishError } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import type { ApiClient, Query } from "../http/api-client.ts";
import { networkError } from "../http/network-error.ts";
import { PartFile, partOf } from "./part-file.ts";
import { closed } from "./stream-sink.ts";

/** What was written, in lines. */
export interface Counted {
  readonly bytes: number;
  readonly lines: number;
}

/** Lines into a file. One that is cut off cannot be gone on with, and nothing is kept of it. */
export async function exportLines(
  context: Context,
  api: ApiClient,
  query: Query,
  to: { readonly output: string; readonly force: boolean },
): Promise<Counted> {
  if (to.force) await rm(partOf(to.output), { force: true });
  const part = await PartFile.create(to.output);
  try {
    const counted = await fetchInto(context, api, query, new PartStream(part), true);
    await part.finish();
    return counted;
  } catch (error) {
    await part.discard();
    throw error;
  }
}

/** Lines to standard output; the exit code says whether they are whole. */
export async function pipeLines(context: Context, api: ApiClient, query: Query): Promise<void> {
  try {
    await fetchInto(context, api, query, context.world.stdout, false);
  } catch (error) {
    const gone = (error as NodeJS.ErrnoException).code === "EPIPE" || context.interrupts.stop?.by === "pipe";
    throw gone ? closed() : error;
  }
}

async function fetchInto(context: Context, api: ApiClient, query: Query, to: Writable, end: boolean): Promise<Counted> {
  const { body } = await api.stream("/api/v1/audit/export", query);
  const counter = new Counter();
  try {
    // pipeline waits for the slower side, and fails when the server breaks off before the end of its stream.
    await pipeline(body, counter, to, { end, signal: context.signal });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (context.signal.aborted || error instanceof HoopishError || code === "EPIPE") throw error;
    throw broken(error);
  }
  return counter;
}

class PartStream extends Writable {
  readonly #part: PartFile;

  constructor(part: PartFile) {
    super();
    this.#part = part;
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#part.write(chunk).then(() => done(), done);
  }
}

class Counter extends Transform implements Counted {
  bytes = 0;
  lines = 0;

  override _transform(chunk: Buffer, _encoding: string, done: (error: null, chunk: Buffer) => void): void {
    this.bytes += chunk.length;
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) this.lines += 1;
    done(null, chunk);
  }
}

function broken(cause: unknown): HoopishError {
  const { hint } = networkError(cause, "");
  return new HoopishError("internal", "the server broke the export off; nothing was kept of it", {
    hint: hint === undefined ? "run it again" : `run it again (${hint})`,
    cause,
  });
}
