import { type CallId, isCallId } from "../../ids.ts";
import { type RetentionClass, retentionClassOf } from "../../record.ts";
import { leafHash } from "../../tlog/merkle.ts";
import type { BundleScope } from "../manifest.ts";
import { AbsentPayloads } from "./absent-payloads.ts";
import { readCommitments } from "./commitments.ts";
import type { CallTime } from "./committed-payloads.ts";
import { type CallOwner, DisclosureRule } from "./disclosure.ts";
import type { Findings } from "./findings.ts";
import type { PayloadCheck } from "./payload-check.ts";
import { RecordView } from "./record-view.ts";
import { SourceNumbers } from "./source-numbers.ts";
import type { TreeCheck } from "./tree-check.ts";

/** Of calls whose payloads nobody asked for. */
const NEVER: CallTime = { ms: 0, class: undefined };

interface LastExport {
  readonly index: number;
  readonly text: string;
}

/** Every record of the range, one after another: its bytes, its place in the tree, and what it means for the others. */
export class RecordCheck {
  readonly #findings: Findings;
  readonly #tree: TreeCheck;
  readonly #payloads: PayloadCheck;
  readonly #disclosure: DisclosureRule;
  readonly #keepsCalls: boolean;
  readonly #end: number;
  readonly #sources: SourceNumbers;
  readonly #view = new RecordView();
  /** Calls that were decided and have not ended: as many as ran at once. */
  readonly #calls = new Map<string, CallTime>();
  readonly #holds = new Set<string>();
  #lastTime = "";
  #lastMs = 0;
  #index: number;
  #first: string | undefined;
  #last: string | undefined;
  #export: LastExport | undefined;
  readonly absent: AbsentPayloads = new AbsentPayloads();
  readonly counts: { HELD: number; WITHHELD: number } = { HELD: 0, WITHHELD: 0 };

  constructor(scope: BundleScope, findings: Findings, tree: TreeCheck, payloads: PayloadCheck) {
    this.#findings = findings;
    this.#tree = tree;
    this.#payloads = payloads;
    this.#disclosure = new DisclosureRule(scope);
    this.#keepsCalls = scope.payloads;
    this.#index = scope.start;
    this.#end = scope.end;
    this.#sources = new SourceNumbers(scope.start === 0);
  }

  /** Index of the record that comes next. */
  get index(): number {
    return this.#index;
  }

  /** Times of the first and the last record. */
  get times(): { readonly first: string | undefined; readonly last: string | undefined } {
    return { first: this.#first, last: this.#last };
  }

  /** The last record, if it is an audit.exported. */
  get lastExport(): string | undefined {
    return this.#export?.index === this.#index - 1 ? this.#export.text : undefined;
  }

  /** Holds that the range has a record of. */
  get holds(): ReadonlySet<string> {
    return this.#holds;
  }

  /** @param file where it stands, for the findings */
  check(bytes: Buffer, from: number, to: number, file: string): void {
    const index = this.#index++;
    if (index === this.#end) {
      this.#findings.add("records_surplus", `there are records behind the end of the range, ${this.#end}`, {
        file,
        index,
      });
    }
    const canonical = this.#view.read(bytes, from, to);
    this.#tree.push(leafHash(bytes.subarray(from, to)));
    if (!canonical) {
      this.#findings.add("record_not_canonical", `record ${index} is not written as records are`, { file, index });
    } else if (!this.#judge(index)) {
      this.#findings.add("record_malformed", `record ${index} lacks what every record has`, { file, index });
    }
  }

  #judge(index: number): boolean {
    const view = this.#view;
    if (!view.is("v", "1") || !view.hasTime()) return false;
    this.#first ??= view.text("time");
    if (index === this.#end - 1) this.#last = view.text("time");
    const type = view.text("type");
    if (type === undefined || !this.#judgeSource(index)) return false;
    return this.#judgeType(type, index) && this.#judgePayloads(type, index);
  }

  #judgeSource(index: number): boolean {
    if (!this.#view.readSource()) return false;
    const { boot, n } = this.#view;
    const judged = this.#sources.judge(boot, n);
    if (judged === "next") return true;
    if (judged === "too_many") return false;
    if (judged === "repeats") {
      const message = `record ${index} is number ${n} of its process, which has come already`;
      this.#findings.add("source_repeats", message, { index });
    } else {
      const message = `before record ${index}, numbers ${judged.gapFrom} to ${n - 1} of its process are not in the log`;
      this.#findings.add("source_gap", message, { index });
    }
    return true;
  }

  #judgeType(type: string, index: number): boolean {
    switch (type) {
      case "call.decided":
        return this.#decided();
      case "call.interrupted": {
        const call = this.#view.text("call");
        if (call !== undefined) this.#payloads.interrupted(call);
        return call !== undefined;
      }
      case "retention.purged":
        return this.#purged(index);
      case "retention.held":
        this.#holds.add(this.#view.text("hold") ?? "");
        return true;
      case "log.gap":
        this.#findings.add("log_gap", `record ${index} says that evidence was lost before it reached the log`, {
          index,
        });
        return true;
      case "audit.exported":
        this.#export = { index, text: this.#view.whole() };
        return true;
      default:
        return true;
    }
  }

  #decided(): boolean {
    const call = this.#view.text("call");
    const verdict = this.#view.text("verdict");
    if (call === undefined || (verdict !== "allow" && verdict !== "hold" && verdict !== "block")) return false;
    // Without payloads nobody will ask for it.
    if (this.#keepsCalls) this.#calls.set(call, { ms: this.#ms(), class: retentionClassOf(verdict) });
    return true;
  }

  #purged(index: number): boolean {
    const { class: of, from, to, count } = JSON.parse(this.#view.whole()) as Readonly<Record<string, unknown>>;
    if (!isRetentionClass(of) || !isTime(from) || !isTime(to) || typeof count !== "number") return false;
    this.absent.purge(index, { class: of, from, to, count });
    return true;
  }

  #judgePayloads(type: string, index: number): boolean {
    const view = this.#view;
    // audit.exported has a member of this name too, which only says whether payloads were asked for.
    const member = type === "audit.exported" ? -1 : view.member("payloads");
    const ends = type === "call.answered" || type === "call.interrupted";
    if (member === -1 && !ends) return true;
    const call = view.text("call");
    if (call === undefined || !isCallId(call)) return false;
    const decided = this.#callTime(call);
    if (ends) this.#calls.delete(call);
    if (member === -1) return true;
    const disclosure = this.#disclosure.of(() => this.#owner());
    return readCommitments(view.bytes, view.start(member), view.end(member), (field, c, len) => {
      if (disclosure !== "disclosed") this.counts[disclosure] += 1;
      else this.#payloads.committed.add(call, field, view.bytes, c, len, index, decided);
    });
  }

  #callTime(call: CallId): CallTime {
    const known = this.#calls.get(call);
    if (known !== undefined || !this.#keepsCalls) return known ?? NEVER;
    // Decided before the range: its id was made just before, and holds the time (RFC 9562 §5.7).
    return { ms: Number.parseInt(call.slice(5, 17), 16), class: undefined };
  }

  /** The record's time. Records of one millisecond stand together. */
  #ms(): number {
    const time = this.#view.text("time") as string;
    if (time !== this.#lastTime) {
      this.#lastTime = time;
      this.#lastMs = Date.parse(time);
    }
    return this.#lastMs;
  }

  #owner(): CallOwner {
    const actor = this.#view.json("actor");
    const user = actor === undefined ? undefined : (JSON.parse(actor) as { readonly name?: unknown }).name;
    return {
      user: typeof user === "string" ? user : undefined,
      connection: this.#view.text("connection"),
      session: this.#view.text("session"),
    };
  }
}

const isRetentionClass = (value: unknown): value is RetentionClass => value === "default" || value === "heldOrBlocked";
const isTime = (value: unknown): value is string => typeof value === "string" && !Number.isNaN(Date.parse(value));
