import {
  type CallId,
  type CallStory,
  HoopishError,
  isKept,
  MAX_REPLAY_PIECE_BYTES,
  type PayloadField,
  REPLAYED_FIELDS,
  type ReplayLine,
  type SessionId,
  type SessionView,
  type StoredRecord,
} from "@hoopish/protocol";
import { ALL_CALLS } from "./all-calls.ts";
import type { EvidenceReader } from "./port.ts";

type Reader = Pick<EvidenceReader, "calls" | "call" | "pieces">;

const PAGE = 500;
/** Their ids are gathered before the first is told, since lists begin with the newest. */
const MAX_CALLS = 100_000;

/**
 * A session's calls, in the order in which they were decided.
 * @throws HoopishError request_too_large
 */
export async function sessionCalls(reader: Pick<EvidenceReader, "calls">, session: SessionId): Promise<CallId[]> {
  const filter = { ...ALL_CALLS, session };
  const ids: CallId[] = [];
  let cursor: string | undefined;
  do {
    const page = await reader.calls(filter, PAGE, cursor);
    for (const { id } of page.items) ids.push(id);
    if (ids.length > MAX_CALLS) {
      throw new HoopishError("request_too_large", `this session has more than ${MAX_CALLS} calls`, {
        hint: "hoopish audit list --session, and audit show for one call",
      });
    }
    cursor = page.next;
  } while (cursor !== undefined);
  return ids.reverse();
}

/** The lines of a replay (ReplayLine). Memory does not grow with a payload. */
export async function* replayLines(
  session: SessionView,
  calls: readonly CallId[],
  reader: Reader,
): AsyncGenerator<Buffer> {
  yield lineOf({ session });
  for (const id of calls) {
    const story = await reader.call(id);
    if (story === undefined) continue;
    yield lineOf(callLine(story));
    for (const field of REPLAYED_FIELDS) {
      if (!story.payloads.some((payload) => payload.field === field && isKept(payload.state))) continue;
      for await (const { bytes, atMs } of reader.pieces(id, field)) {
        for (let at = 0; at < bytes.length; at += MAX_REPLAY_PIECE_BYTES) {
          const data = base64(bytes.subarray(at, at + MAX_REPLAY_PIECE_BYTES));
          yield lineOf({ piece: { call: id, field, offsetMs: atMs, data } });
        }
      }
    }
  }
}

const lineOf = (line: ReplayLine): Buffer => Buffer.from(`${JSON.stringify(line)}\n`);
const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");

function callLine({ call, records, payloads }: CallStory): ReplayLine {
  const leaves = records.map(({ leaf }) => JSON.parse(leaf) as StoredRecord);
  const endedAt = leaves.find(({ type }) => type === "call.answered" || type === "call.interrupted")?.time;
  const kept = payloads
    .filter(({ state }) => isKept(state))
    .map(({ field, bytes, state }) => ({ field, bytes, complete: state === "complete" }));
  const gone = payloads.filter(({ state }) => !isKept(state)).map(({ field }) => field);
  return { call, ...(endedAt === undefined ? {} : { endedAt }), payloads: kept, gone };
}

/**
 * Whether two calls asked the same: connection, method, path, and query and body byte for byte.
 * @throws HoopishError purged where one of them asked something that is not kept any more
 */
export async function sameRequest(
  one: CallStory,
  other: CallStory,
  reader: Pick<EvidenceReader, "payload">,
): Promise<boolean> {
  const told = ({ call }: CallStory): string => JSON.stringify([call.connection, call.method, call.path]);
  if (told(one) !== told(other)) return false;
  for (const field of ["query", "request"] as const) {
    if (lengthOf(one, field) !== lengthOf(other, field)) return false;
    if (lengthOf(one, field) === 0) continue;
    if (!(await sameBytes(reader.payload(one.call.id, field), reader.payload(other.call.id, field)))) return false;
  }
  return true;
}

const lengthOf = ({ payloads }: CallStory, field: PayloadField): number =>
  payloads.find((payload) => payload.field === field)?.bytes ?? 0;

/** Compares two streams, however each of them is cut. */
async function sameBytes(one: AsyncIterable<Uint8Array>, other: AsyncIterable<Uint8Array>): Promise<boolean> {
  const ahead = other[Symbol.asyncIterator]();
  let have: Buffer = Buffer.alloc(0);
  try {
    for await (const bytes of one) {
      for (let at = 0; at < bytes.length; ) {
        if (have.length === 0) {
          const next = await ahead.next();
          if (next.done === true) return false;
          have = Buffer.from(next.value);
        }
        const length = Math.min(have.length, bytes.length - at);
        if (!have.subarray(0, length).equals(bytes.subarray(at, at + length))) return false;
        have = have.subarray(length);
        at += length;
      }
    }
    return have.length === 0;
  } finally {
    await ahead.return?.();
  }
}
