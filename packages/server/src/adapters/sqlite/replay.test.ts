import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CallId,
  type CallStory,
  MAX_REPLAY_PIECE_BYTES,
  newCallId,
  newSessionId,
  type ReplayLine,
  replayLineSchema,
  type SessionId,
  type SessionView,
} from "@hoopish/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { replayLines, sameRequest, sessionCalls } from "../../evidence/replay.ts";
import { answeredDraft, decidedDraft, sessionDraft, wholePayload } from "../../evidence/sample-records.ts";
import { openSqliteStore, type SqliteStore } from "./store.ts";
import { TEST_KEYS } from "./testing/keys.ts";

let folder: string;
let store: SqliteStore;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "hoopish-replay-"));
  store = await openSqliteStore({ path: join(folder, "hoopish.db"), keys: TEST_KEYS, replica: "gw-1" });
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

async function writeCall(session: SessionId, request: Buffer, answer: Buffer, query?: string): Promise<CallId> {
  const call = newCallId();
  const asked = [wholePayload(call, "request", request)];
  if (query !== undefined) asked.push(wholePayload(call, "query", Buffer.from(query)));
  const got = wholePayload(call, "delivered", answer);
  await store.log.append(
    [decidedDraft({ call, session }, asked)],
    asked.map(({ piece }) => piece),
  );
  await store.log.append([answeredDraft({ call, session }, [got])], [got.piece]);
  return call;
}

async function openSession(): Promise<SessionView> {
  const id = newSessionId();
  await store.log.append([sessionDraft(id)]);
  return (await store.reader.session(id)) as SessionView;
}

async function replay(session: SessionView): Promise<ReplayLine[]> {
  const calls = await sessionCalls(store.reader, session.id);
  const lines: ReplayLine[] = [];
  for await (const line of replayLines(session, calls, store.reader)) {
    expect(line.at(-1)).toBe(10);
    lines.push(replayLineSchema.parse(JSON.parse(line.toString())));
  }
  return lines;
}

const bytesOf = (lines: readonly ReplayLine[], call: CallId, field: string): Buffer =>
  Buffer.concat(
    lines.flatMap((line) =>
      "piece" in line && line.piece.call === call && line.piece.field === field
        ? [Buffer.from(line.piece.data, "base64")]
        : [],
    ),
  );

describe("a replay", () => {
  test("tells a session's own calls in their order, with every byte that was asked and delivered", async () => {
    const [one, other] = [await openSession(), await openSession()];
    const large = Buffer.alloc(300_000, "0123456789");
    const first = await writeCall(one.id, Buffer.from("first"), large, "?a=b");
    await writeCall(other.id, Buffer.from("not of this session"), Buffer.from("no"));
    const second = await writeCall(one.id, Buffer.from([0xff, 0]), Buffer.from("second's answer"));
    const lines = await replay(one);
    expect(lines[0]).toEqual({ session: one });
    const calls = lines.filter((line) => "call" in line);
    expect(calls.map(({ call }) => call.id)).toEqual([first, second]);
    expect(calls[0]).toMatchObject({ call: { verdict: "allow", status: 200 }, gone: [] });
    expect(Date.parse(calls[0]?.endedAt ?? "")).toBeGreaterThanOrEqual(Date.parse(calls[0]?.call.time ?? ""));
    expect(bytesOf(lines, first, "delivered").equals(large)).toBe(true);
    expect(bytesOf(lines, first, "query").toString()).toBe("?a=b");
    expect(bytesOf(lines, second, "request")).toEqual(Buffer.from([0xff, 0]));
    for (const line of lines) {
      if ("piece" in line)
        expect(Buffer.from(line.piece.data, "base64").length).toBeLessThanOrEqual(MAX_REPLAY_PIECE_BYTES);
    }
    // A call's pieces stand between its line and the next one's.
    const owner = lines.map((line) => ("piece" in line ? line.piece.call : "call" in line ? line.call.id : ""));
    expect([...new Set(owner)]).toEqual(["", first, second]);
    expect(owner).toEqual([...owner].sort((a, b) => [...new Set(owner)].indexOf(a) - [...new Set(owner)].indexOf(b)));
  });

  test("tells a call that runs, and what was committed to and is kept no more", async () => {
    const session = await openSession();
    const call = newCallId();
    const lost = wholePayload(call, "request", Buffer.from("lost"));
    await store.log.append([decidedDraft({ call, session: session.id }, [lost])]);
    const [, line] = await replay(session);
    expect(line).toMatchObject({ call: { id: call }, gone: ["request"], payloads: [] });
    expect(line).not.toHaveProperty("endedAt");
  });

  test("of many calls comes page by page, in order", async () => {
    const session = await openSession();
    const made: CallId[] = [];
    for (let n = 0; n < 1_100; n += 1) {
      const call = newCallId();
      made.push(call);
      void store.log.append([decidedDraft({ call, session: session.id })]);
    }
    await store.log.append([answeredDraft({ call: made.at(-1) as CallId, session: session.id })]);
    expect(await sessionCalls(store.reader, session.id)).toEqual(made);
  });
});

describe("two requests are the same", () => {
  const story = async (call: CallId): Promise<CallStory> => (await store.reader.call(call)) as CallStory;
  const same = async (one: CallId, other: CallId): Promise<boolean> =>
    sameRequest(await story(one), await story(other), store.reader);

  test("when every byte is, however it was stored", async () => {
    const session = (await openSession()).id;
    const body = Buffer.alloc(200_000, "abc");
    const whole = await writeCall(session, body, Buffer.from("x"), "?q=1");
    expect(await same(whole, await writeCall(session, body, Buffer.from("y"), "?q=1"))).toBe(true);
    const other = Buffer.from(body);
    other[199_999] = 0;
    expect(await same(whole, await writeCall(session, other, Buffer.from("x"), "?q=1"))).toBe(false);
    expect(await same(whole, await writeCall(session, body, Buffer.from("x"), "?q=2"))).toBe(false);
    expect(await same(whole, await writeCall(session, body, Buffer.from("x")))).toBe(false);
    expect(await same(whole, await writeCall(session, body.subarray(1), Buffer.from("x"), "?q=1"))).toBe(false);
    // The same bytes, cut into other pieces.
    const call = newCallId();
    const piece = wholePayload(call, "request", body);
    const query = wholePayload(call, "query", Buffer.from("?q=1"));
    const { salt, ...rest } = piece.piece;
    const pieces = [
      { ...rest, bytes: body.subarray(0, 70_001) },
      { ...rest, seq: 1, bytes: body.subarray(70_001), ...(salt && { salt }) },
      query.piece,
    ];
    await store.log.append([decidedDraft({ call, session }, [piece, query])], pieces);
    expect(await same(whole, call)).toBe(true);
  });

  test("not when connection, method or path is another", async () => {
    const session = (await openSession()).id;
    const [one, other] = [newCallId(), newCallId()];
    await store.log.append([
      decidedDraft({ call: one, session }),
      decidedDraft({ call: other, session, connection: "y" }),
    ]);
    expect(await same(one, other)).toBe(false);
    expect(await same(one, one)).toBe(true);
  });
});
