import { payloadPath } from "../layout.ts";
import type { CheckedPurge } from "../report.ts";
import type { CallTime, CommittedPayload } from "./committed-payloads.ts";
import type { Findings } from "./findings.ts";

const HOUR_MS = 3_600_000;
/** Named one by one in each hour; the rest is counted. */
const NAMED = 5;

interface Purge {
  readonly index: number;
  readonly class: string;
  readonly from: string;
  readonly to: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly count: number;
  here: number;
}

interface Bucket {
  /** Since 1970. */
  readonly hour: number;
  readonly class: CallTime["class"];
  minMs: number;
  maxMs: number;
  count: number;
  readonly first: CommittedPayload[];
}

/**
 * Payloads that should be here and are not, until the end has shown which purge records there are. Kept as counts for
 * each hour and class, with the first few by name: purges take whole months, and memory must not grow with the range.
 */
export class AbsentPayloads {
  readonly #buckets = new Map<string, Bucket>();
  readonly #purges: Purge[] = [];
  #ofUnknownClass = 0;
  /** Payloads of one hour and class mostly come together. */
  #last: Bucket | undefined;

  add(payload: CommittedPayload): void {
    const { ms, class: of } = payload.decided;
    if (of === undefined) this.#ofUnknownClass += 1;
    const hour = Math.floor(ms / HOUR_MS);
    if (this.#last?.hour !== hour || this.#last.class !== of) this.#last = this.#bucket(hour, of);
    const bucket = this.#last;
    bucket.minMs = Math.min(bucket.minMs, ms);
    bucket.maxMs = Math.max(bucket.maxMs, ms);
    bucket.count += 1;
    if (bucket.first.length < NAMED) bucket.first.push(payload);
  }

  #bucket(hour: number, of: CallTime["class"]): Bucket {
    const key = `${of} ${hour}`;
    const found = this.#buckets.get(key);
    if (found !== undefined) return found;
    const bucket = {
      hour,
      class: of,
      minMs: Number.POSITIVE_INFINITY,
      maxMs: Number.NEGATIVE_INFINITY,
      count: 0,
      first: [],
    };
    this.#buckets.set(key, bucket);
    return bucket;
  }

  /** Whether there is one whose class is not known from this range. */
  get hasUnknownClass(): boolean {
    return this.#ofUnknownClass > 0;
  }

  purge(index: number, purged: { class: string; from: string; to: string; count: number }): void {
    const { from, to, count } = purged;
    this.#purges.push({
      index,
      class: purged.class,
      from,
      to,
      fromMs: Date.parse(from),
      toMs: Date.parse(to),
      count,
      here: 0,
    });
  }

  /** Settles each one's word, and puts what is not explained among the findings. */
  settle(findings: Findings): { readonly PURGED: number; readonly MISSING: number; readonly purges: CheckedPurge[] } {
    let [purged, missing] = [0, 0];
    for (const bucket of this.#buckets.values()) {
      const purge = this.#purges.find((one) => covers(one, bucket));
      if (purge === undefined) {
        missing += bucket.count;
        report(bucket, findings);
      } else {
        purged += bucket.count;
        purge.here += bucket.count;
      }
    }
    for (const { index, here, count } of this.#purges) {
      if (here <= count) continue;
      findings.add("purge_short", `${here} payloads are gone, and record ${index} says that ${count} were purged`, {
        index,
      });
    }
    const purges = this.#purges.map(({ fromMs: _, toMs: __, ...rest }) => rest);
    return { PURGED: purged, MISSING: missing, purges };
  }
}

function covers(purge: Purge, bucket: Bucket): boolean {
  const sameClass = bucket.class === undefined || bucket.class === purge.class;
  return sameClass && purge.fromMs <= bucket.minMs && bucket.maxMs < purge.toMs;
}

function report(bucket: Bucket, findings: Findings): void {
  for (const { call, field, index } of bucket.first) {
    const where = { file: payloadPath(call, field), index, call, field };
    findings.add("payload_missing", `record ${index} commits to ${call}/${field}, which is not here`, where);
  }
  const more = bucket.count - bucket.first.length;
  if (more === 0) return;
  const hour = new Date(bucket.hour * HOUR_MS).toISOString();
  findings.add("payload_missing", `${more} more payloads of calls in the hour from ${hour} are not here`);
}
