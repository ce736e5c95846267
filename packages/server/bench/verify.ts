/**
 * Measures the writer and the verifier of evidence bundles: `npm run bench:verify -w packages/server [-- RECORDS]`.
 * The bundle is made in a folder of its own under the system's temporary folder (TMPDIR), and removed. It is verified in
 * a process of its own, so that its memory is the verifier's alone.
 */
import { spawnSync } from "node:child_process";
import { createWriteStream, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import {
  ed25519Signer,
  encodeRecord,
  Frontier,
  formatCheckpoint,
  leafHash,
  newCallId,
  newLogKey,
  newSessionId,
  type RecordDraft,
  signNote,
  uuidv7,
} from "@hoopish/protocol";
import type { BundleSource, SignedRoot, StoredLeaf } from "../src/evidence/bundle/port.ts";
import { writeBundle } from "../src/evidence/bundle/write-bundle.ts";

const ORIGIN = "gateway.bank.example/hoopish";
const HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const START_MS = Date.parse("2026-11-23T08:00:00.000Z");
/** Records between two checkpoints. */
const SIGNED_EVERY = 1_000;
const out = (line: string): void => void process.stdout.write(`${line}\n`);

const actors = Array.from({ length: 200 }, (_, i) => ({
  actor: Object.freeze({
    sub: `00u${i}`,
    iss: "https://login.bank.example",
    name: `user${i}@bank.example`,
    groups_hash: HASH,
    kind: "human",
    amr: Object.freeze(["mfa"]),
  } as const),
  session: newSessionId(),
}));

/** Two records a call, as a busy day has them. All payloads were purged since, and the verifier finds that out at the end. */
function leavesOf(count: number): Buffer[] {
  const leaves: Buffer[] = [];
  const src = { replica: "gw-1", boot: "23cbade0-9661-4ab7-882b-b35e36e48431" };
  const push = (draft: RecordDraft): void => {
    const n = leaves.length;
    const ms = START_MS + n;
    const stamp = { id: uuidv7(ms), time: new Date(ms).toISOString(), src: { ...src, n } };
    leaves.push(Buffer.from(encodeRecord(draft, stamp)));
  };
  for (let i = 0; leaves.length < count - 2; i++) {
    const common = { ...(actors[i % actors.length] as (typeof actors)[0]), call: newCallId(), connection: "model-x" };
    const c = leafHash(Buffer.from(`${i}`)).toString("base64");
    push({
      ...common,
      type: "call.decided",
      protocol: "http",
      method: "POST",
      path: "/v1/chat/completions",
      operation: { kind: "chat", model: "llama-3-8b" },
      verdict: "allow",
      rule: "scientists",
      policy: HASH,
      payloads: { request: { c, len: 300 } },
    });
    if (leaves.length === count - 2) break;
    push({
      ...common,
      type: "call.answered",
      status: 200,
      duration_ms: 12,
      bytes: { request: 300, delivered: 900 },
      payloads: { delivered: { c, len: 900 } },
      outcome: "complete",
    });
  }
  const { actor } = actors[0] as (typeof actors)[0];
  const month = { from: "2026-11-01T00:00:00.000Z", to: "2026-12-01T00:00:00.000Z" };
  push({ type: "retention.purged", class: "default", ...month, count: leaves.length, root: "", by: "retention" });
  push({ type: "audit.exported", actor, since: "a", until: "b", format: "bundle", payloads: true, start: 0 });
  return leaves;
}

function sourceOf(leaves: readonly Buffer[]): BundleSource {
  const signer = ed25519Signer(ORIGIN, newLogKey());
  const frontier = new Frontier();
  const history: SignedRoot[] = [];
  for (const [i, leaf] of leaves.entries()) {
    frontier.push(leafHash(leaf));
    if ((i + 1) % SIGNED_EVERY !== 0 && i + 1 !== leaves.length) continue;
    history.push({ size: i + 1, root: frontier.root(), time: new Date(START_MS + i).toISOString() });
  }
  const text = formatCheckpoint({ origin: ORIGIN, size: BigInt(leaves.length), root: frontier.root() });
  const { iss, name, sub } = (actors[0] as (typeof actors)[0]).actor;
  return {
    scope: {
      v: 1,
      origin: ORIGIN,
      start: 0,
      end: leaves.length,
      since: "a",
      until: "b",
      payloads: true,
      filters: {},
      withheld: [],
      requester: { iss, name, sub },
    },
    signer,
    startNote: undefined,
    endNote: signNote(text, [signer]),
    leftEdge: [],
    history: async function* () {
      yield* history;
    },
    anchors: async function* () {},
    records: async function* (from, to): AsyncGenerator<readonly StoredLeaf[]> {
      yield leaves.slice(from, to).map((leaf, i) => ({ index: from + i, leaf }));
    },
    payloads: async function* (wanted) {
      for (const _ of wanted) yield [];
    },
    views: [],
  };
}

const rate = (count: number, from: bigint): string => {
  const seconds = Number(process.hrtime.bigint() - from) / 1e9;
  return `${seconds.toFixed(2)} s, ${Math.round(count / seconds / 1000)} thousand records/s`;
};

async function write(count: number, file: string): Promise<string> {
  const leaves = leavesOf(count);
  const source = sourceOf(leaves);
  const bytes = leaves.reduce((sum, leaf) => sum + leaf.length, 0);
  const from = process.hrtime.bigint();
  await pipeline(writeBundle(source), createWriteStream(file));
  const size = statSync(file).size;
  out(`write   ${rate(count, from)} · ${Math.round(bytes / count)} bytes a record, ${Math.round(size / count)} packed`);
  return source.signer.vkey;
}

/** Each part in a process of its own, so that its memory is its own alone. */
function run(args: readonly string[]): string {
  const child = spawnSync(process.execPath, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  if (child.status !== 0) throw new Error(`${args.join(" ")} failed`);
  return child.stdout;
}

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

function compare(count: string): void {
  const folder = mkdtempSync(join(tmpdir(), "hoopish-bench-"));
  try {
    const file = join(folder, "bundle.tar.gz");
    const [line = "", key = ""] = run([...process.execArgv, here("verify.ts"), "write", count, file]).split("\n");
    out(line);
    for (let again = 0; again < 3; again++) out(run([here("verify-process.mjs"), file, key]).trim());
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const [part = "1000000", ...rest] = process.argv.slice(2);
if (part === "write") out(await write(Number(rest[0]), rest[1] as string));
else compare(part);
