import { setTimeout as sleep } from "node:timers/promises";
import {
  type HoldId,
  type HoldRequest,
  type HoldView,
  HoopishError,
  type MonthPlan,
  newHoldId,
  type PayloadTally,
  type PurgedMonth,
  type RecordDraft,
} from "@hoopish/protocol";
import { Frontier } from "@hoopish/protocol/tlog";
import type { WritableLog } from "../../../evidence/log.ts";
import type { PayloadMonth, RetentionStore, Who } from "../../../evidence/retention/port.ts";
import { monthOf, monthStart, retentionNumber, retentionOf } from "../keys.ts";
import type { ActiveHold, ClassMonth } from "./month-calls.ts";
import type { Begun, DestroyedKey, ResealPosition } from "./purger.ts";
import type { RetentionChange } from "./retention-changes.ts";
import type { CountPart, GrowingTree, SurveyPart } from "./survey.ts";

type Ask = <T>(method: string, ...args: readonly unknown[]) => Promise<T>;

/** What the retention store asks of the rest of the store. */
export interface RetentionPorts {
  /** Asks the thread that answers auditors, about all that is durable. */
  readonly read: Ask;
  /** Asks the thread that writes. `purger.…` or `reader.…` */
  readonly write: Ask;
  readonly renewIntake: () => Promise<void>;
  readonly log: WritableLog;
  readonly now: () => number;
}

/** A reader holds on to the WAL for milliseconds; a backup may take longer. */
const TRUNCATE_TRIES = 20;
const TRUNCATE_PAUSE_MS = 250;

export function createRetentionStore(ports: RetentionPorts): RetentionStore {
  return new SqliteRetention(ports);
}

/**
 * The order of a purge. Every step is short, so that the log never waits for one of them; the record is made when all that
 * it says is known, and with it goes the key:
 *
 *   begin     the month's keys are taken out of use: nothing is added to what they seal
 *   reseal    what holds keep is put under another key
 *   count     what is left is counted, in the log's order
 *   destroy   the record and the end of the keys: one transaction. From here on the blocks are noise, whoever has a copy
 *   finish    what of a key may stand elsewhere is wiped (intake, WAL), then the noise is deleted
 *
 * Interrupted before `destroy`, nothing has happened, and the next purge begins again; after it, `finish` is done at the next
 * purge (which every start makes).
 */
class SqliteRetention implements RetentionStore {
  readonly #ports: RetentionPorts;
  /** One purge after the other. */
  readonly #purges = new Turns();
  /** A hold is placed before a purge looks for the last time, or after its record. */
  readonly #changes = new Turns();

  constructor(ports: RetentionPorts) {
    this.#ports = ports;
  }

  async months(): Promise<readonly PayloadMonth[]> {
    return (await this.#ports.read<ClassMonth[]>("keptMonths")).map(toPayloadMonth);
  }

  async survey(month: PayloadMonth): Promise<MonthPlan> {
    const of = toClassMonth(month);
    const holds = await this.#activeHolds();
    const total = { destroyed: NOTHING, held: NOTHING, holds: new Set<HoldId>(), running: 0 };
    for await (const part of this.#surveyParts(of, holds)) {
      total.destroyed = sum(total.destroyed, part.destroyed);
      total.held = sum(total.held, part.held);
      total.running += part.running;
      for (const id of part.holds) total.holds.add(id);
    }
    return { ...month, ...total, holds: [...total.holds] };
  }

  purge(month: PayloadMonth, who: Who, signal: AbortSignal): Promise<PurgedMonth | undefined> {
    return this.#purges.take(async () => {
      const of = toClassMonth(month);
      if (!(await this.#hasToDestroy(of))) return undefined;
      while (await this.#write<boolean>(signal, "purger.unstage"));
      const begun = await this.#write<Begun>(signal, "purger.begin", of);
      if ("running" in begun) return undefined;
      let purged: PurgedMonth | undefined;
      while (purged === undefined) {
        const holds = await this.#activeHolds();
        await this.#reseal(of, holds, signal);
        const tree = await this.#count(of, begun.keys, signal);
        purged = await this.#changes.take(() => this.#destroy(month, who, { keys: begun.keys, holds, tree }));
      }
      await this.#finish(signal);
      return purged;
    });
  }

  finish(signal: AbortSignal): Promise<void> {
    return this.#purges.take(() => this.#finish(signal));
  }

  holds(which: "active" | "all"): Promise<readonly HoldView[]> {
    return this.#ports.read("holds", which);
  }

  place({ reason, filters }: HoldRequest, { by, actor }: Who): Promise<HoldView> {
    return this.#changes.take(async () => {
      const id = newHoldId();
      const named = Object.fromEntries(Object.entries(filters));
      const record: RecordDraft = {
        type: "retention.held",
        ...(actor && { actor }),
        hold: id,
        reason,
        by,
        filters: named,
      };
      await this.#append(record, { kind: "hold.place", id, atMs: this.#ports.now(), by, reason, filters });
      return this.#hold(id);
    });
  }

  release(id: HoldId, reason: string, { by, actor }: Who): Promise<HoldView> {
    return this.#changes.take(async () => {
      // A change that cannot be made would hold up whatever is written with it: look, then write.
      const { released } = await this.#hold(id);
      if (released !== undefined) throw new HoopishError("conflict", "this hold is released already");
      const record: RecordDraft = { type: "retention.released", ...(actor && { actor }), hold: id, reason, by };
      await this.#append(record, { kind: "hold.release", id, atMs: this.#ports.now(), by, reason });
      return this.#hold(id);
    });
  }

  async #hold(id: HoldId): Promise<HoldView> {
    const hold = await this.#ports.write<HoldView | undefined>("reader.hold", id);
    if (hold === undefined) throw new HoopishError("not_found", "no such hold");
    return hold;
  }

  #activeHolds(): Promise<readonly ActiveHold[]> {
    return this.#ports.write("reader.activeHolds");
  }

  async *#surveyParts(of: ClassMonth, holds: readonly ActiveHold[]): AsyncGenerator<SurveyPart> {
    for (let from: number | undefined = 0; from !== undefined; ) {
      const part: SurveyPart = await this.#ports.read<SurveyPart>("surveyPart", of, holds, from);
      yield part;
      from = part.next;
    }
  }

  async #hasToDestroy(of: ClassMonth): Promise<boolean> {
    for await (const part of this.#surveyParts(of, await this.#activeHolds())) {
      if (part.running > 0) return false;
      if (part.destroyed.calls > 0) return true;
    }
    return false;
  }

  async #reseal(of: ClassMonth, holds: readonly ActiveHold[], signal: AbortSignal): Promise<void> {
    if (holds.length === 0) return;
    for (let from: ResealPosition | undefined = { call: 0, block: 0 }; from !== undefined; ) {
      from = await this.#write<ResealPosition | undefined>(signal, "purger.reseal", of, holds, from);
    }
  }

  async #count(of: ClassMonth, keys: readonly number[], signal: AbortSignal): Promise<GrowingTree> {
    let tree: GrowingTree = { size: 0, hashes: [] };
    for (let from: number | undefined = 0; from !== undefined; ) {
      signal.throwIfAborted();
      const part: CountPart = await this.#ports.read<CountPart>("countPart", of, keys, from, tree);
      tree = part.tree;
      from = part.next;
    }
    return tree;
  }

  /** Undefined: a hold was placed since the holds were looked at. */
  async #destroy(
    month: PayloadMonth,
    { by, actor }: Who,
    { keys, holds, tree }: { keys: readonly number[]; holds: readonly ActiveHold[]; tree: GrowingTree },
  ): Promise<PurgedMonth | undefined> {
    const known = new Set(holds.map(({ id }) => id));
    if ((await this.#activeHolds()).some(({ id }) => !known.has(id))) return undefined;
    const root = new Frontier(tree.size, tree.hashes).root().toString("base64");
    const facts = { ...month, count: tree.size, root };
    const record: RecordDraft = { type: "retention.purged", ...(actor && { actor }), ...facts, by };
    const index = await this.#append(record, { kind: "keys.destroy", keys });
    return { ...facts, record: index };
  }

  async #finish(signal: AbortSignal): Promise<void> {
    const destroyed = await this.#ports.write<DestroyedKey[]>("purger.destroyed");
    if (destroyed.length === 0) return;
    await this.#ports.write("purger.forget");
    await this.#ports.write("reader.forget");
    await this.#ports.read("forget");
    await this.#ports.renewIntake();
    await this.#truncateWal(signal);
    for (const key of destroyed) {
      for (let from: number | undefined = 0; from !== undefined; ) {
        from = await this.#write<number | undefined>(signal, "purger.cleanPieces", key, from);
      }
      while (await this.#write<boolean>(signal, "purger.cleanBlocks", key));
    }
  }

  async #truncateWal(signal: AbortSignal): Promise<void> {
    for (let tries = 0; tries < TRUNCATE_TRIES; tries++) {
      if (await this.#write<boolean>(signal, "purger.truncateWal")) return;
      await sleep(TRUNCATE_PAUSE_MS, undefined, { signal });
    }
    throw new HoopishError("conflict", "another program reads the database and keeps destroyed keys in its WAL", {
      hint: "end it (a backup, a shell); the next purge goes on here",
    });
  }

  #write<T>(signal: AbortSignal, method: string, ...args: readonly unknown[]): Promise<T> {
    signal.throwIfAborted();
    return this.#ports.write<T>(method, ...args);
  }

  #append(record: RecordDraft, change: RetentionChange): Promise<number> {
    return this.#ports.log.appendWith([record], change);
  }
}

const NOTHING: PayloadTally = { calls: 0, payloads: 0, bytes: 0 };
const sum = (left: PayloadTally, right: PayloadTally): PayloadTally => ({
  calls: left.calls + right.calls,
  payloads: left.payloads + right.payloads,
  bytes: left.bytes + right.bytes,
});

const toPayloadMonth = ({ retention, month }: ClassMonth): PayloadMonth => ({
  class: retentionOf(retention),
  from: monthStart(month).toISOString(),
  to: monthStart(month + 1).toISOString(),
});
const toClassMonth = (month: PayloadMonth): ClassMonth => ({
  retention: retentionNumber(month.class),
  month: monthOf(Date.parse(month.from)),
});

/** One thing after the other, whoever asks. */
class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
