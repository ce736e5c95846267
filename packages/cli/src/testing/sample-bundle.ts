import { createHash } from "node:crypto";
import { crc32, deflateRawSync } from "node:zlib";
import {
  Committer,
  canonicalize,
  ed25519Signer,
  encodeRecord,
  Frontier,
  formatCheckpoint,
  leafHash,
  type NoteSigner,
  newCallId,
  newLogKey,
  newSessionId,
  type RecordActor,
  type RecordDraft,
  signNote,
  uuidv7,
} from "@hoopish/protocol";
import {
  type BundleScope,
  encodeHistoryLine,
  encodeManifest,
  encodeScope,
  encodeTarHeader,
  GZIP_HEADER,
  gzipSeal,
  gzipTrailer,
  manifestText,
  payloadPath,
  saltPath,
  sumLine,
  TAR_END,
  tarPadding,
} from "@hoopish/protocol/bundle";

/** A small bundle, written by hand from the format's parts: three records, one of which commits to a payload. */
export interface SampleBundle {
  readonly bundle: Buffer;
  readonly signer: NoteSigner;
  readonly endNote: string;
  /** Index and call of the record that commits to the payload. */
  readonly call: string;
}

export interface SampleBundleOptions {
  readonly requester?: string;
  /** Leave the payload out. */
  readonly withoutPayload?: boolean;
  /** Changes a record's text once everything was signed. */
  readonly edit?: (record: string) => string;
}

const ORIGIN = "gateway.bank.example/hoopish";
const TIME = "2026-11-23T08:00:00.000Z";
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

export function sampleBundle(options: SampleBundleOptions = {}): SampleBundle {
  const signer = ed25519Signer(ORIGIN, newLogKey());
  const call = newCallId();
  const name = options.requester ?? "auditor@bank.example";
  const payload = Buffer.from("who may borrow?");
  const committer = new Committer();
  committer.update(payload);
  const records = recordsOf(call, name, committer.finish());
  const frontier = new Frontier();
  for (const record of records) frontier.push(leafHash(Buffer.from(record)));
  const root = frontier.root();
  const endNote = signNote(formatCheckpoint({ origin: ORIGIN, size: 3n, root }), [signer]);
  const scope: BundleScope = {
    v: 1,
    origin: ORIGIN,
    start: 0,
    end: 3,
    since: TIME,
    until: TIME,
    payloads: true,
    filters: {},
    withheld: [],
    requester: { iss: "i", name, sub: "s" },
  };
  const lines = records.map((record) => `${options.edit?.(record) ?? record}\n`).join("");
  const files: [string, Buffer][] = [
    ["VERIFY.md", Buffer.from("see docs/verifying.md\n")],
    ["scope.json", Buffer.from(encodeScope(scope))],
    ["checkpoints/end.note", Buffer.from(endNote)],
    ["left-edge.json", Buffer.from(canonicalize({ size: 0, hashes: [] }))],
    [
      "checkpoints/history.jsonl",
      Buffer.from(encodeHistoryLine({ size: 3, root: root.toString("base64"), time: TIME })),
    ],
    ["records/000000.jsonl.gz", gzip(Buffer.from(lines))],
  ];
  if (options.withoutPayload !== true) {
    const kept: [string, Buffer][] = [
      [saltPath(call, "request"), Buffer.from(`${committer.salt.toString("base64")}\n`)],
      [payloadPath(call, "request"), payload],
    ];
    const sums = kept.map(([path, content]) => sumLine(sha256(content), path)).join("");
    files.push(...kept, ["payloads/000000.sha256", Buffer.from(sums)]);
  }
  return { bundle: archive(files, scope, signer), signer, endNote, call };
}

function recordsOf(call: ReturnType<typeof newCallId>, name: string, request: { c: string; len: number }): string[] {
  const actor: RecordActor = { sub: "s", iss: "i", name, groups_hash: "00", kind: "human" };
  const drafts: RecordDraft[] = [
    { type: "server.started", version: "0.1.0", config: "00" },
    {
      type: "call.decided",
      actor,
      session: newSessionId(),
      call,
      connection: "model-x",
      protocol: "http",
      method: "POST",
      path: "/v1/chat/completions",
      operation: { kind: "chat" },
      verdict: "allow",
      policy: "00",
      payloads: { request },
    },
    { type: "audit.exported", actor, since: TIME, until: TIME, format: "bundle", payloads: true, start: 0 },
  ];
  return drafts.map((draft, n) =>
    encodeRecord(draft, { id: uuidv7(), time: TIME, src: { replica: "gw-1", boot: "b", n } }),
  );
}

function archive(files: readonly [string, Buffer][], scope: BundleScope, signer: NoteSigner): Buffer {
  const listed = files.filter(([path]) => !path.startsWith("payloads/call_"));
  const sums = listed.map(([path, content]) => [path, { bytes: content.length, sha256: sha256(content) }]);
  const manifest = Buffer.from(encodeManifest({ ...scope, files: Object.fromEntries(sums) }));
  const note = signNote(manifestText(ORIGIN, sha256(manifest)), [signer]);
  const all: readonly [string, Buffer][] = [
    ...files,
    ["manifest.json", manifest],
    ["manifest.note", Buffer.from(note)],
  ];
  const blocks = all.flatMap(([path, content]) => [
    encodeTarHeader({ path, size: content.length, mtime: Date.parse(TIME) / 1_000 }),
    content,
    Buffer.alloc(tarPadding(content.length)),
  ]);
  const member = gzip(Buffer.concat([...blocks, TAR_END]));
  return Buffer.concat([member, gzipSeal(createHash("sha256").update(member).digest())]);
}

const gzip = (content: Buffer): Buffer =>
  Buffer.concat([GZIP_HEADER, deflateRawSync(content), gzipTrailer(crc32(content), content.length)]);
