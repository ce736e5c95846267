import { HoopishError } from "@hoopish/protocol";
import { SealCheck } from "@hoopish/protocol/bundle";
import { withFileLock } from "../auth/file-lock.ts";
import type { Context } from "../context.ts";
import { type ApiClient, MAX_STREAM_SILENCE_MS, type Query } from "../http/api-client.ts";
import { formatBytes } from "../terminal/units.ts";
import { download, type Sink } from "./download.ts";
import { PartFile, partOf } from "./part-file.ts";
import { readResumeState, removeResumeState, writeResumeState } from "./resume-file.ts";
import { closed, StreamSink } from "./stream-sink.ts";

/** A bundle that is whole. */
export interface Exported {
  /** Of the export's own record in the log. */
  readonly index: number;
  readonly bytes: number;
}

/** While the server makes again what is here already, it sends nothing: it makes at least so much a second. */
const MADE_AGAIN_BYTES_A_MS = 4_096;
/** Longer than any export runs: a holder whose process is there is alive. */
const LOCK_STALE_MS = 30 * 86_400_000;

/** @throws HoopishError, and an AbortError when it was interrupted; what there is stays, to go on with */
export async function exportBundle(
  context: Context,
  api: ApiClient,
  query: Query,
  to: { readonly output: string; readonly force: boolean },
): Promise<Exported> {
  const { output, force } = to;
  return await locked(context, output, async () => {
    if (force) await forget(output);
    const part = await PartFile.create(output);
    try {
      const { index, body } = await begin(api, query);
      await writeResumeState(output, { v: 1, server: await context.server(), index });
      return await fill(context, api, { index, part, body, seal: new SealCheck() });
    } catch (error) {
      // Nothing has come: there is nothing to go on with.
      if (part.bytes === 0) await Promise.all([part.discard(), removeResumeState(output)]);
      throw error;
    } finally {
      await part.keep();
    }
  });
}

/** Goes on with a bundle that was cut off. @throws HoopishError conflict when there is none, or it is another server's */
export async function resumeBundle(context: Context, api: ApiClient, output: string): Promise<Exported> {
  return await locked(context, output, async () => {
    const { server, index } = await readResumeState(output, context.world.uid);
    if (server !== (await context.server())) {
      throw new HoopishError("conflict", `this export is of ${server}, and not of ${await context.server()}`, {
        hint: `hoopish audit export --resume --server ${server} -o ${output}`,
      });
    }
    const part = await PartFile.reopen(output, context.world.uid);
    try {
      const seal = new SealCheck();
      for await (const bytes of part.read()) seal.push(bytes);
      return await fill(context, api, { index, part, body: undefined, seal });
    } finally {
      await part.keep();
    }
  });
}

/** To standard output: goes on when the connection breaks, but not later. */
export async function pipeBundle(context: Context, api: ApiClient, query: Query): Promise<Exported> {
  const sink = new StreamSink(context.world.stdout, context.signal);
  const { index, body } = await begin(api, query);
  try {
    await download(body, portsOf(context, api, { index, sink, seal: new SealCheck() }));
  } catch (error) {
    throw context.interrupts.stop?.by === "pipe" ? closed() : error;
  }
  return { index, bytes: sink.bytes };
}

interface Filling {
  readonly index: number;
  readonly part: PartFile;
  readonly body: AsyncIterable<Uint8Array> | undefined;
  readonly seal: SealCheck;
}

async function fill(context: Context, api: ApiClient, { index, part, body, seal }: Filling): Promise<Exported> {
  const resume = `hoopish audit export --resume -o ${part.path}`;
  try {
    await download(body, portsOf(context, api, { index, sink: part, seal }));
  } catch (error) {
    if (part.bytes > 0) context.output.note(`${formatBytes(part.bytes)} are kept; to go on: ${resume}`);
    throw error;
  }
  await part.finish();
  await removeResumeState(part.path);
  return { index, bytes: part.bytes };
}

interface Begun {
  readonly index: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Not tried again by itself: each time is a record of its own. */
async function begin(api: ApiClient, query: Query): Promise<Begun> {
  const { headers, body } = await api.stream("/api/v1/audit/export", query);
  return { index: indexOf(headers["hoopish-export"]), body };
}

function portsOf(
  context: Context,
  api: ApiClient,
  { index, sink, seal }: { readonly index: number; readonly sink: Sink; readonly seal: SealCheck },
): Parameters<typeof download>[1] {
  const open = async (offset: number): Promise<AsyncIterable<Uint8Array>> => {
    const silenceMs = MAX_STREAM_SILENCE_MS + offset / MADE_AGAIN_BYTES_A_MS;
    const query = { format: "bundle", resume: index, offset };
    const { headers, body } = await api.stream("/api/v1/audit/export", query, silenceMs);
    if (indexOf(headers["hoopish-export"]) === index) return body;
    throw new HoopishError("internal", "the server went on with another export than was asked for");
  };
  const onBreak = ({ bytes, waitMs }: { readonly bytes: number; readonly waitMs: number }): void =>
    context.output.note(
      `The connection broke after ${formatBytes(bytes)}; going on in ${Math.ceil(waitMs / 1000)} s (Ctrl-C stops)`,
    );
  return { open, sink, seal, signal: context.signal, onBreak };
}

function indexOf(header: string | string[] | undefined): number {
  if (typeof header === "string" && /^\d{1,15}$/.test(header)) return Number(header);
  throw new HoopishError("internal", "the server does not say which export it gives", {
    hint: "it may be older than this hoopish and know no bundles",
  });
}

async function forget(output: string): Promise<void> {
  const { rm } = await import("node:fs/promises");
  await rm(partOf(output), { force: true });
  await removeResumeState(output);
}

/** Two that write into one part would leave neither of them whole. */
function locked<T>(context: Context, output: string, work: () => Promise<T>): Promise<T> {
  const { host } = context.world;
  const path = `${partOf(output)}.lock`;
  return withFileLock({ path, host, pid: process.pid, staleMs: LOCK_STALE_MS, waitMs: 0 }, work);
}
