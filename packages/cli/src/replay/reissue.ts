import {
  type CallId,
  type CallStory,
  callStorySchema,
  HoopishError,
  isKept,
  type Reissued,
  reissuedSchema,
} from "@hoopish/protocol";
import { Link } from "../connect/link.ts";
import { type OpenSession, openSession } from "../connect/session.ts";
import type { Context } from "../context.ts";
import type { ApiClient } from "../http/api-client.ts";
import { VERSION } from "../version.ts";
import { type BodyComparison, compareBodies } from "./comparison.ts";
import { type Answer, MAX_BODY_BYTES, type RecordedRequest, sendAgain } from "./send.ts";

/** Longest path that a record holds: of a longer one the end is lost. */
const MAX_RECORDED_PATH = 1024;
const CLOSE_MS = 2_000;

export interface Reissue {
  readonly of: CallId;
  readonly again: CallId;
  readonly session: string;
  readonly connection: string;
  /** How policy decided this time. */
  readonly verdict: Reissued["verdict"];
  readonly status: { readonly was?: number; readonly now: number };
  /** The new answer came whole. */
  readonly complete: boolean;
  readonly body: BodyComparison;
}

/**
 * Sends a recorded request again, as whoever is signed in, in a session of theirs: policy decides as for any call. The
 * log has it before anything is shown.
 * @throws HoopishError what the server refused; conflict: the request is not there as it was
 */
export async function reissue(
  context: Context,
  of: CallId,
  { reason, ticket }: { readonly reason?: string; readonly ticket?: string },
): Promise<Reissue> {
  const api = await context.api();
  const story = await api.get(`/api/v1/audit/calls/${of}`, callStorySchema);
  refuseOthers(story);
  const request = await recordedRequest(api, story);
  const recorded = keeps(story, "delivered") ? await fetchPayload(api, of, "delivered") : undefined;
  const { connection } = story.call;
  const ask = { connection, reason: reason ?? `reissue of ${of}`, ...(ticket !== undefined && { ticket }) };
  const { session, answer } = await withSession(context, ask, async (open) => ({
    session: open.info.id,
    answer: await sendAgain(open, request, context.signal),
  }));
  const { verdict } = await report(api, of, answer);
  const { status } = story.call;
  return {
    of,
    again: answer.call,
    session,
    connection,
    verdict,
    status: { ...(status !== undefined && { was: status }), now: answer.status },
    complete: answer.complete,
    body: compareBodies(recorded, answer.body),
  };
}

/** @throws HoopishError conflict: the server refused the call before it had read the request */
async function report(api: ApiClient, of: CallId, { call, status }: Answer): Promise<Reissued> {
  const path = `/api/v1/audit/calls/${of}/reissues`;
  return api.post(path, { again: call }, reissuedSchema).catch((error: unknown) => {
    if (!(error instanceof HoopishError) || error.code !== "conflict") throw error;
    const hint = `it was answered with ${status}: hoopish audit show ${call}`;
    throw new HoopishError(error.code, error.message, { hint, cause: error });
  });
}

/** What was a message of another protocol, or went on as a conversation, is no request that could be sent again. */
function refuseOthers({ call, records }: CallStory): void {
  for (const { leaf } of records) {
    const record = JSON.parse(leaf) as { type: string; protocol?: string; request_streams?: boolean };
    if (record.type !== "call.decided" || (record.protocol === "http" && record.request_streams !== true)) continue;
    if (record.protocol === "http") throw notThere(`the request of ${call.id} was a stream`);
    throw notThere(`${call.id} was a call of ${record.protocol}, and only those of HTTP are sent again`);
  }
}

async function recordedRequest(api: ApiClient, story: CallStory): Promise<RecordedRequest> {
  const { id, method, path } = story.call;
  if (path.length >= MAX_RECORDED_PATH) throw notThere(`the path of ${id} is longer than its record`);
  for (const field of ["request", "query"]) {
    const payload = story.payloads.find((one) => one.field === field);
    if (payload?.state === "cut") throw notThere(`the ${field} of ${id} was cut off`);
    if (payload !== undefined && !isKept(payload.state)) throw notThere(`the ${field} of ${id} is kept no more`);
  }
  const query = keeps(story, "query") ? await fetchPayload(api, id, "query") : Buffer.alloc(0);
  const body = keeps(story, "request") ? await fetchPayload(api, id, "request") : Buffer.alloc(0);
  return { method, target: path + query.toString("latin1"), body };
}

const keeps = ({ payloads }: CallStory, field: string): boolean =>
  payloads.some((payload) => payload.field === field && isKept(payload.state));

const notThere = (message: string): HoopishError =>
  new HoopishError("conflict", `${message}: it cannot be sent again as it was`, { hint: "hoopish audit show" });

async function fetchPayload(api: ApiClient, call: CallId, field: string): Promise<Buffer> {
  const { body } = await api.stream(`/api/v1/audit/calls/${call}/payloads/${field}`);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_BODY_BYTES) {
      throw new HoopishError(
        "request_too_large",
        `the ${field} of ${call} is larger than what is sent again or compared`,
      );
    }
  }
  return Buffer.concat(chunks);
}

/** A session for one request, on a tunnel of its own, closed well. */
async function withSession<T>(
  context: Context,
  ask: { readonly connection: string; readonly reason: string; readonly ticket?: string },
  use: (session: OpenSession) => Promise<T>,
): Promise<T> {
  const { world, signal } = context;
  const [server, tokens] = [await context.server(), await context.tokens()];
  const link = new Link({ server, tokens, env: world.env, onReconnecting: () => {} });
  try {
    const tunnel = await Promise.race([link.connected(signal), link.failed]);
    const request = { ":kind": "session.open" as const, host: world.host, client: `hoopish/${VERSION}`, ...ask };
    const session = await openSession(tunnel, request, () => {});
    try {
      return await use(session);
    } finally {
      session.close();
      await Promise.race([session.ended, new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref())]);
    }
  } finally {
    await link.close();
  }
}
