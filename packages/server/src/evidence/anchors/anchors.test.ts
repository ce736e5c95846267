import { setTimeout as sleep } from "node:timers/promises";
import { HoopishError } from "@hoopish/protocol";
import { describe, expect, it, vi } from "vitest";
import type { Anchor, AnchorReceipt, SignedCheckpoint } from "./anchor.ts";
import type { AnchorFailure } from "./anchor-run.ts";
import { Anchors } from "./anchors.ts";
import { SampleLog } from "./testing/sample-log.ts";

const log = new SampleLog(100);

/** A place that does what the test says. */
class Place implements Anchor {
  readonly name: string;
  readonly everyMs: number;
  readonly required = false;
  readonly seen: number[] = [];
  behave: (signed: SignedCheckpoint, signal: AbortSignal) => Promise<AnchorReceipt | undefined> = async () => undefined;

  constructor(name: string, everyMs = 0) {
    this.name = name;
    this.everyMs = everyMs;
  }

  async publish(signed: SignedCheckpoint, signal: AbortSignal): Promise<AnchorReceipt | undefined> {
    const receipt = await this.behave(signed, signal);
    this.seen.push(Number(signed.checkpoint.size));
    return receipt;
  }

  async newest(): Promise<undefined> {
    return undefined;
  }
}

function run(...places: Anchor[]) {
  const failures: AnchorFailure[] = [];
  const kept: [string, AnchorReceipt][] = [];
  const anchors = new Anchors(places, {
    now: Date.now,
    report: (failure) => void failures.push(failure),
    keep: async (anchor, receipt) => void kept.push([anchor, receipt]),
  });
  const publish = (size: number): void => {
    const { note, checkpoint } = log.checkpoint(size);
    anchors.publish(note, checkpoint);
  };
  return { anchors, publish, failures, kept };
}

const unavailable = async (): Promise<never> => {
  throw new HoopishError("unreachable", "nobody is there");
};

describe("Anchors", () => {
  it("brings each checkpoint to an anchor that takes each, in order", async () => {
    const file = new Place("file");
    const { anchors, publish } = run(file);
    for (const size of [1, 2, 3]) publish(size);
    await anchors.close();
    expect(file.seen).toEqual([1, 2, 3]);
    expect(anchors.status()).toMatchObject([{ name: "file", published: { size: 3 }, failures: 0, waiting: 0 }]);
  });

  it("brings the newest at its pace to one that does not", async () => {
    const witness = new Place("witness", 150);
    const { anchors, publish } = run(witness);
    for (let size = 1; size <= 40; size += 1) {
      publish(size);
      await sleep(5);
    }
    await vi.waitFor(() => expect(witness.seen.at(-1)).toBe(40));
    expect(witness.seen[0]).toBe(1);
    expect(witness.seen.length).toBeLessThanOrEqual(4);
    await anchors.close();
  });

  it("never makes the log wait, and an anchor that hangs holds up no other", async () => {
    const hanging = new Place("hanging");
    hanging.behave = (_signed, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const file = new Place("file");
    const { anchors, publish } = run(hanging, file);
    const began = performance.now();
    for (const size of [1, 2, 3]) publish(size);
    expect(performance.now() - began).toBeLessThan(1_000);
    await vi.waitFor(() => expect(file.seen).toEqual([1, 2, 3]));
    expect(anchors.status()[0]).toMatchObject({ published: undefined, waiting: 3 });
    const closing = performance.now();
    await anchors.close(100);
    expect(performance.now() - closing).toBeLessThan(1_000);
  });

  it("reports and counts failures, tries again with pauses, and forgets them when it goes", async () => {
    const file = new Place("file");
    file.behave = unavailable;
    const { anchors, publish, failures } = run(file);
    publish(1);
    publish(2);
    await vi.waitFor(() => expect(failures).toHaveLength(1));
    expect(failures[0]).toMatchObject({ anchor: "file", consecutive: 1, error: { code: "unreachable" } });
    const [status] = anchors.status();
    expect(status).toMatchObject({
      failing: { message: "nobody is there", consecutive: 1 },
      failures: 1,
      waiting: 2,
      published: undefined,
    });
    file.behave = async () => undefined;
    await vi.waitFor(() => expect(file.seen).toEqual([1, 2]), { timeout: 3_000 });
    expect(anchors.status()[0]).toMatchObject({ failing: undefined, failures: 1, waiting: 0, published: { size: 2 } });
    await anchors.close();
  });

  it("waits longer after each failure: no storm of attempts", async () => {
    const file = new Place("file");
    file.behave = unavailable;
    const { anchors, publish, failures } = run(file);
    for (let n = 1; n <= 50; n += 1) {
      publish(n);
      await sleep(20);
    }
    expect(failures.length).toBeGreaterThanOrEqual(1);
    expect(failures.length).toBeLessThanOrEqual(2);
    await anchors.close(50);
  });

  it("gives up the oldest when too many wait, and says so", async () => {
    const file = new Place("file");
    file.behave = unavailable;
    const { anchors } = run(file);
    const { note, checkpoint } = log.checkpoint(1);
    for (let n = 0; n < 4_000; n += 1) anchors.publish(note, checkpoint);
    await vi.waitFor(() => expect(anchors.status()[0]).toMatchObject({ waiting: 3_600, skipped: 400 }));
    await anchors.close(50);
  });

  it("tries once more when the server ends, with the newest, whatever the pace or the pause", async () => {
    const file = new Place("file");
    const witness = new Place("witness", 3_600_000);
    const dead = new Place("dead");
    file.behave = unavailable;
    dead.behave = unavailable;
    const { anchors, publish, failures } = run(file, witness, dead);
    publish(1);
    await vi.waitFor(() => expect(failures).toHaveLength(2));
    publish(2);
    file.behave = async () => undefined;
    await anchors.close();
    expect(file.seen).toEqual([1, 2]);
    expect(witness.seen).toEqual([1, 2]);
    expect(dead.seen).toEqual([]);
    publish(3);
    expect(file.seen).toEqual([1, 2]);
  });

  it("keeps what an anchor gives back; a receipt that cannot be kept is a failure, and is asked for again", async () => {
    const witness = new Place("witness", 1);
    witness.behave = async ({ note }) => ({ kind: "cosigned", note });
    const { anchors, publish, kept } = run(witness);
    publish(7);
    await anchors.close();
    expect(kept).toEqual([["witness", { kind: "cosigned", note: log.checkpoint(7).note }]]);
    const failures: AnchorFailure[] = [];
    const full = new Anchors([witness], { now: Date.now, report: (it) => void failures.push(it), keep: unavailable });
    const { note, checkpoint } = log.checkpoint(8);
    full.publish(note, checkpoint);
    await vi.waitFor(() => expect(failures).toHaveLength(1));
    expect(full.status()[0]).toMatchObject({ waiting: 1, failing: { consecutive: 1 } });
    await full.close();
  });
});
