import {
  type CallId,
  Committer,
  cosigner,
  ed25519Signer,
  encodeRecord,
  Frontier,
  formatCheckpoint,
  leafHash,
  type NoteSigner,
  newCallId,
  newLogKey,
  newSessionId,
  type PayloadField,
  type RecordDraft,
  type RetentionClass,
  type SessionId,
  signNote,
  uuidv7,
} from "@hoopish/protocol";
import type { BundleScope, DisclosureFilters } from "@hoopish/protocol/bundle";
import { actorNamed, answeredDraft, decidedDraft } from "../../sample-records.ts";
import type { BundleSource, BundleView, SignedRoot, StoredLeaf, StoredPayload } from "../port.ts";

export const ORIGIN = "gateway.bank.example/hoopish";
const HOUR_MS = 3_600_000;
const BATCH = 500;

/** A log in memory: real records, a real tree, real signatures; and, unlike a real one, everything in it can be changed. */
export class SyntheticLog {
  readonly signer: NoteSigner;
  readonly leaves: Buffer[] = [];
  readonly vault: Map<string, { readonly bytes: Buffer; readonly salt: Buffer | undefined }> = new Map();
  readonly history: (SignedRoot & { readonly note: string })[] = [];
  readonly #frontier = new Frontier();
  readonly #edges = new Map<number, readonly Buffer[]>();
  readonly #numbers = new Map<string, number>();
  nowMs: number = Date.parse("2026-11-23T08:00:00.000Z");

  constructor(signer: NoteSigner = ed25519Signer(ORIGIN, newLogKey())) {
    this.signer = signer;
  }

  get size(): number {
    return this.leaves.length;
  }

  /** @param n overrides the number that comes next in the boot */
  append(draft: RecordDraft, boot = "boot-1", n: number = (this.#numbers.get(boot) ?? -1) + 1): number {
    this.#numbers.set(boot, n);
    const time = new Date(this.nowMs).toISOString();
    const leaf = Buffer.from(encodeRecord(draft, { id: uuidv7(this.nowMs), time, src: { replica: "gw-1", boot, n } }));
    return this.appendLeaf(leaf);
  }

  appendLeaf(leaf: Buffer): number {
    this.leaves.push(leaf);
    this.#frontier.push(leafHash(leaf));
    return this.leaves.length - 1;
  }

  /** A decided and answered call with the payloads that are given. */
  call(
    of: {
      readonly user?: string;
      readonly connection?: string;
      readonly session?: SessionId;
      readonly verdict?: "allow" | "hold" | "block";
      readonly request?: Buffer;
      readonly delivered?: Buffer;
    } = {},
  ): CallId {
    this.nowMs += 7;
    const call = callIdAt(this.nowMs);
    this.append(decidedDraft({ ...of, call }, this.keep(call, "request", of.request)));
    this.nowMs += 12;
    this.append(answeredDraft({ ...of, call }, this.keep(call, "delivered", of.delivered)));
    return call;
  }

  /** Puts a payload into the vault. */
  keep(call: CallId, field: PayloadField, bytes: Buffer | undefined): Parameters<typeof decidedDraft>[1] {
    if (bytes === undefined) return [];
    const committer = new Committer();
    committer.update(bytes);
    this.vault.set(`${call}/${field}`, { bytes, salt: committer.salt });
    return [{ piece: { call, field, seq: 0, bytes, salt: committer.salt }, commitment: committer.finish() }];
  }

  /** Destroys payloads, and says so. */
  purge(of: {
    readonly class: RetentionClass;
    readonly from: string;
    readonly to: string;
    readonly paths: string[];
  }): void {
    const ids = new Frontier();
    for (const path of of.paths) {
      this.vault.delete(path);
      ids.push(leafHash(Buffer.from(path)));
    }
    const { paths, ...purged } = of;
    const root = ids.root().toString("base64");
    this.append({ type: "retention.purged", ...purged, count: paths.length, root, by: "retention" });
  }

  sign(): string {
    this.nowMs += 1_000;
    const root = this.#frontier.root();
    const text = formatCheckpoint({ origin: ORIGIN, size: BigInt(this.size), root });
    const note = signNote(text, [this.signer]);
    this.history.push({ size: this.size, root, time: new Date(this.nowMs).toISOString(), note });
    this.#edges.set(this.size, this.#frontier.hashes());
    return note;
  }

  /** Exports from the checkpoint of `start` records, or from the beginning. Appends audit.exported and signs. */
  export(
    options: {
      readonly start?: number;
      readonly payloads?: boolean;
      readonly filters?: DisclosureFilters;
      readonly withheld?: BundleScope["withheld"];
      readonly views?: readonly BundleView[];
      readonly anchors?: readonly { readonly name: string; readonly bytes: Uint8Array }[];
    } = {},
  ): BundleSource {
    const { start = 0, payloads = true, filters = {} } = options;
    const actor = actorNamed("auditor@bank.example");
    const asked = { since: "2026-11-23T08:00:00.000Z", until: "2026-11-24T08:00:00.000Z", payloads };
    this.append({
      type: "audit.exported",
      actor,
      ...asked,
      format: "bundle",
      start,
      ...(Object.keys(filters).length === 0 ? {} : { filters: filters as Record<string, string> }),
    });
    const endNote = this.sign();
    const { iss, name, sub } = actor;
    const scope: BundleScope = {
      v: 1,
      origin: ORIGIN,
      start,
      end: this.size,
      ...asked,
      filters,
      withheld: options.withheld ?? [],
      requester: { iss, name, sub },
    };
    return this.source(scope, endNote, options.views ?? [], options.anchors ?? []);
  }

  source(
    scope: BundleScope,
    endNote: string,
    views: readonly BundleView[],
    anchors: readonly { readonly name: string; readonly bytes: Uint8Array }[],
  ): BundleSource {
    const { history, leaves, vault } = this;
    return {
      scope,
      signer: this.signer,
      startNote: history.find(({ size }) => size === scope.start)?.note,
      endNote,
      leftEdge: this.#edges.get(scope.start) ?? [],
      history: async function* () {
        yield* history.filter(({ size }) => size >= scope.start && size <= scope.end);
      },
      anchors: async function* () {
        yield* anchors;
      },
      records: async function* (from, to): AsyncGenerator<readonly StoredLeaf[]> {
        for (let at = from; at < to; at += BATCH) {
          yield leaves.slice(at, Math.min(at + BATCH, to)).map((leaf, i) => ({ index: at + i, leaf }));
        }
      },
      payloads: async function* (wanted): AsyncGenerator<readonly StoredPayload[]> {
        for (const { call, fields } of wanted) {
          yield fields.flatMap((field): StoredPayload[] => {
            const found = vault.get(`${call}/${field}`);
            if (found === undefined) return [];
            const { bytes, salt } = found;
            return [{ field, length: bytes.length, salt, chunks: () => cut(bytes, 1_000) }];
          });
        }
      },
      views,
    };
  }
}

/** Of a call that began then: the id is a UUIDv7, and ids of this process are made in order. */
function callIdAt(ms: number): CallId {
  return `call_${ms.toString(16).padStart(12, "0")}${newCallId().slice(17)}` as CallId;
}

export async function* cut(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** A witness that cosigns notes at a time. */
export const witness = (name: string, nowMs: number): NoteSigner => cosigner(name, newLogKey(), () => nowMs / 1000);

/**
 * A small day: two users, held and blocked calls, a purge of what was held, a cut call, two processes, and a checkpoint
 * after every few calls.
 */
export function sampleDay(log: SyntheticLog = new SyntheticLog(), calls = 12): SyntheticLog {
  const session = newSessionId();
  log.append({ type: "server.started", version: "0.1.0", config: "00" });
  for (let i = 0; i < calls; i++) {
    const user = i % 3 === 0 ? "analyst@bank.example" : "scientist@bank.example";
    const request = Buffer.from(JSON.stringify({ prompt: `who may borrow? ${i}`, user }));
    log.call({ user, session, request, delivered: Buffer.from(`data: answer ${i} ü\n\n`.repeat(i + 1)) });
    if (i % 4 === 3) log.sign();
  }
  const held = [log.call({ verdict: "hold", request: Buffer.from("held 1") })];
  held.push(log.call({ verdict: "block", request: Buffer.from("blocked") }));
  log.nowMs += 2 * HOUR_MS;
  log.append({ type: "server.started", version: "0.1.0", config: "00" }, "boot-2");
  const cutCall = callIdAt(log.nowMs);
  log.append(decidedDraft({ call: cutCall }), "boot-2");
  log.vault.set(`${cutCall}/delivered`, { bytes: Buffer.from("half an ans"), salt: undefined });
  log.append(
    { type: "call.interrupted", call: cutCall, connection: "model-x", delivered: 11, reason: "stopped" },
    "boot-2",
  );
  log.purge({
    class: "heldOrBlocked",
    from: "2026-11-01T00:00:00.000Z",
    to: "2026-12-01T00:00:00.000Z",
    paths: held.map((call) => `${call}/request`),
  });
  log.sign();
  return log;
}
