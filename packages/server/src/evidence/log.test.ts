import { HoopishError, newCallId, type StoredRecord } from "@hoopish/protocol";
import { describe, expect, test, vi } from "vitest";
import { createEvidenceLog } from "./log.ts";
import { answeredDraft, decidedDraft, wholePayload } from "./sample-records.ts";
import { type Batch, type EvidenceStore, StoreLost } from "./store.ts";

/** A store whose commits wait until the test lets them go on. */
class HeldStore implements EvidenceStore {
  readonly batches: Batch[] = [];
  probes = 0;
  #pending: PromiseWithResolvers<number>[] = [];
  failing: Error | undefined;

  commit(batch: Batch): Promise<number> {
    this.batches.push(batch);
    const pending = Promise.withResolvers<number>();
    this.#pending.push(pending);
    return pending.promise;
  }

  probe(): Promise<void> {
    this.probes += 1;
    return this.failing === undefined ? Promise.resolve() : Promise.reject(this.failing);
  }

  /** Ends the commit that is under way. */
  async release(error?: Error): Promise<void> {
    await tick();
    const pending = this.#pending.shift();
    if (error === undefined) pending?.resolve(0);
    else pending?.reject(error);
    await tick();
  }

  get records(): StoredRecord[] {
    return this.batches.flatMap(({ leaves }) => leaves.map(({ text }) => JSON.parse(text) as StoredRecord));
  }
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const started = { type: "server.started", version: "1", config: "c" } as const;
const errorOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "resolved",
    (error: unknown) => (error instanceof HoopishError ? error.code : `not ours: ${String(error)}`),
  );

const open = (probeMs = 1_000_000) => {
  const store = new HeldStore();
  return { store, log: createEvidenceLog(store, { replica: "gw-1", clock: () => 1_795_420_800_123, probeMs }) };
};

describe("stamping", () => {
  test("every record has v, a UUIDv7, the time in milliseconds and a source numbered from 0", async () => {
    const { store, log } = open();
    void log.append([started, started]);
    await store.release();
    const [first, second] = store.records;
    expect(first).toMatchObject({ v: 1, type: "server.started", time: "2026-11-23T08:00:00.123Z" });
    expect(first?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect([first?.src, second?.src]).toEqual([
      { replica: "gw-1", boot: first?.src.boot, n: 0 },
      { replica: "gw-1", boot: first?.src.boot, n: 1 },
    ]);
  });

  test("a draft that cannot be encoded rejects alone and uses no number", async () => {
    const { store, log } = open();
    const good = log.append([started]);
    const bad = codeOf(log.append([started, { ...started, version: "\ud800" }]));
    const alsoGood = log.append([started]);
    expect(await bad).toBe("evidence_unavailable");
    await store.release();
    await store.release();
    await Promise.all([good, alsoGood]);
    expect(store.records.map(({ src }) => src.n)).toEqual([0, 1]);
    expect(log.writable).toBe(true);
  });
});

describe("group commit", () => {
  test("what comes while a commit is under way goes into one batch, in order", async () => {
    const { store, log } = open();
    const first = log.append([started]);
    await tick();
    const settled: number[] = [];
    const later = [1, 2, 3].map((number) => log.append([started]).then(() => settled.push(number)));
    await tick();
    expect(store.batches).toHaveLength(1);
    await store.release();
    await first;
    expect(store.batches.map(({ leaves }) => leaves.length)).toEqual([1, 3]);
    expect(settled).toEqual([]);
    await store.release();
    await Promise.all(later);
    expect(settled).toEqual([1, 2, 3]);
    expect(store.records.map(({ src }) => src.n)).toEqual([0, 1, 2, 3]);
  });

  test("adjacent pieces of one payload become one part, the salt with the last", async () => {
    const { store, log } = open();
    const [call, other] = [newCallId(), newCallId()];
    void log.append([decidedDraft({ call })], [{ call, field: "request", seq: 0, bytes: Buffer.from("a") }]);
    void log.append([], [{ call, field: "request", seq: 1, bytes: Buffer.from("b"), salt: Buffer.alloc(32) }]);
    void log.append([decidedDraft({ call: other })], [wholePayload(other, "request", Buffer.from("c")).piece]);
    void log.append([], [{ call, field: "delivered", seq: 0, bytes: Buffer.from("d") }]);
    await store.release();
    const parts = store.batches[0]?.parts.map(({ call: of, field, bytes, salt }) => [
      of === call,
      field,
      Buffer.concat(bytes).toString(),
      salt?.length,
    ]);
    expect(parts).toEqual([
      [true, "request", "ab", 32],
      [false, "request", "c", 32],
      [true, "delivered", "d", undefined],
    ]);
  });

  test("a large payload does not make one large batch", async () => {
    const { store, log } = open();
    const call = newCallId();
    void log.append([decidedDraft({ call })]);
    const bytes = Buffer.alloc(400_000);
    for (let seq = 0; seq < 10; seq++) void log.append([], [{ call, field: "request", seq, bytes }]);
    for (let i = 0; i < 6; i++) await store.release();
    expect(store.batches.map(({ parts }) => parts.reduce((sum, part) => sum + part.bytes.length, 0))).toEqual([
      3, 3, 3, 1,
    ]);
  });

  test("what may wait goes with the next that may not, or by itself a few milliseconds later", async () => {
    const { store, log } = open();
    const soon = log.append([started], [], "soon");
    await tick();
    expect(store.batches).toHaveLength(0);
    const now = log.append([started]);
    await store.release();
    await Promise.all([soon, now]);
    expect(store.batches.map(({ leaves }) => leaves.length)).toEqual([2]);
    const alone = log.append([started], [], "soon");
    await vi.waitFor(() => expect(store.batches).toHaveLength(2));
    await store.release();
    await alone;
  });

  test("what may wait does not wait for ever after a slow failure", async () => {
    const { store, log } = open();
    const refused = [codeOf(log.append([started]))];
    await tick();
    refused.push(codeOf(log.append([started], [], "soon")));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await store.release(new Error("disk full"));
    expect(await Promise.all(refused)).toEqual(["evidence_unavailable", "evidence_unavailable"]);
    const alone = log.append([started], [], "soon");
    await vi.waitFor(() => expect(store.batches).toHaveLength(2));
    await store.release();
    await alone;
  });

  test("pendingBytes counts what is not durable yet", async () => {
    const { store, log } = open();
    const call = newCallId();
    void log.append([decidedDraft({ call })]);
    void log.append([], [{ call, field: "request", seq: 0, bytes: Buffer.alloc(5_000) }]);
    expect(log.pendingBytes).toBeGreaterThan(5_000);
    await store.release();
    expect(log.pendingBytes).toBe(0);
  });
});

describe("when the store cannot write", () => {
  test("all that waits is refused, with the cause, and its numbers are used again", async () => {
    const { store, log } = open();
    const first = errorOf(log.append([started]));
    await tick();
    const waiting = errorOf(log.append([started, started]));
    await store.release(new Error("disk full"));
    for (const refused of [first, waiting]) {
      expect(await refused).toMatchObject({ code: "evidence_unavailable", cause: { message: "disk full" } });
    }
    expect(log.writable).toBe(false);
    expect(log.pendingBytes).toBe(0);
    const again = log.append([started]);
    await store.release();
    await again;
    expect(log.writable).toBe(true);
    expect(store.records.at(-1)?.src.n).toBe(0);
  });

  test("the same call can be written again afterwards, from its first piece", async () => {
    const { store, log } = open();
    const call = newCallId();
    const request = wholePayload(call, "request", Buffer.from("a"));
    const write = (): Promise<number> => log.append([decidedDraft({ call }, [request])], [request.piece]);
    const refused = codeOf(write());
    await store.release(new Error("disk full"));
    expect(await refused).toBe("evidence_unavailable");
    const again = write();
    await store.release();
    await again;
    const end = log.append([answeredDraft({ call })]);
    await store.release();
    await end;
  });

  test("an end that was refused leaves its call open", async () => {
    const { store, log } = open();
    const call = newCallId();
    void log.append([decidedDraft({ call })], [{ call, field: "delivered", seq: 0, bytes: Buffer.from("a") }]);
    await store.release();
    const last = { call, field: "delivered", seq: 1, bytes: Buffer.from("b"), salt: Buffer.alloc(32) } as const;
    const refused = codeOf(log.append([answeredDraft({ call })], [last]));
    await store.release(new Error("disk full"));
    expect(await refused).toBe("evidence_unavailable");
    const again = log.append([answeredDraft({ call })], [last]);
    await store.release();
    await again;
  });

  test("it is tried again now and then, also when nothing is appended", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const { store, log } = open(2_000);
      store.failing = new Error("disk full");
      const refused = codeOf(log.append([started]));
      await store.release(store.failing);
      expect(await refused).toBe("evidence_unavailable");
      await vi.advanceTimersByTimeAsync(2_000);
      await vi.advanceTimersByTimeAsync(2_000);
      expect([store.probes, log.writable]).toEqual([2, false]);
      store.failing = undefined;
      await vi.advanceTimersByTimeAsync(2_000);
      expect([store.probes, log.writable]).toEqual([3, true]);
      await vi.advanceTimersByTimeAsync(10_000);
      expect(store.probes).toBe(3);
    } finally {
      vi.useRealTimers();
    }
  });

  test("a batch whose end nobody knows is followed by a new boot, so that no number stands twice", async () => {
    const { store, log } = open();
    const call = newCallId();
    void log.append([decidedDraft({ call })]);
    await store.release();
    const lost = codeOf(log.append([started]));
    await store.release(new StoreLost("gone"));
    expect(await lost).toBe("evidence_unavailable");
    expect(await codeOf(log.append([], [{ call, field: "request", seq: 0, bytes: Buffer.from("a") }]))).toBe(
      "evidence_unavailable",
    );
    const next = log.append([started]);
    await store.release();
    await next;
    const boots = store.records.map(({ src }) => src);
    expect(boots.at(-1)?.n).toBe(0);
    expect(boots.at(-1)?.boot).not.toBe(boots[0]?.boot);
  });
});

describe("payload without a record is refused, alone", () => {
  const cases: Readonly<
    Record<string, (log: ReturnType<typeof open>["log"], call: ReturnType<typeof newCallId>) => Promise<unknown>>
  > = {
    "of a call that nobody decided": (log) =>
      log.append([], [{ call: newCallId(), field: "request", seq: 0, bytes: Buffer.from("a") }]),
    "with a hole": (log, call) => log.append([], [{ call, field: "request", seq: 1, bytes: Buffer.from("a") }]),
    "the same piece twice": async (log, call) => {
      const piece = { call, field: "request", seq: 0, bytes: Buffer.from("a") } as const;
      void log.append([], [piece]);
      await log.append([], [piece]);
    },
    "of a call that has ended": async (log, call) => {
      void log.append([answeredDraft({ call })]);
      await log.append([], [{ call, field: "delivered", seq: 0, bytes: Buffer.from("a") }]);
    },
    "a call that is decided twice": (log, call) => log.append([decidedDraft({ call })]),
    "a call that ends twice": async (log, call) => {
      void log.append([answeredDraft({ call })]);
      await log.append([answeredDraft({ call })]);
    },
    "an id that is none": (log) => log.append([decidedDraft({ call: "call_1" as ReturnType<typeof newCallId> })]),
  };

  test.each(Object.keys(cases))("%s", async (name) => {
    const { store, log } = open();
    const call = newCallId();
    const decided = log.append([decidedDraft({ call })]);
    const refused = codeOf(cases[name]?.(log, call) ?? Promise.resolve());
    const after = log.append([started]);
    await store.release();
    await Promise.all([decided, after]);
    expect(await refused).toBe("evidence_unavailable");
    expect(log.writable).toBe(true);
    expect(store.records.map(({ src }) => src.n)).toEqual(store.records.map((_, n) => n));
  });
});

describe("close", () => {
  test("writes what waits, and refuses what comes after", async () => {
    const { store, log } = open();
    const first = log.append([started]);
    await tick();
    const second = log.append([started]);
    const closed = log.close();
    expect(await codeOf(log.append([started]))).toBe("evidence_unavailable");
    await store.release();
    await store.release();
    await Promise.all([first, second, closed]);
    expect(store.records).toHaveLength(2);
  });
});
