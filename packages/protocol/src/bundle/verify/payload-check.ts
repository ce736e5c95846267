import { Committer, SALT_BYTES } from "../../commitment.ts";
import { type BundlePath, payloadPath } from "../layout.ts";
import { type CommittedPayload, CommittedPayloads } from "./committed-payloads.ts";
import type { Findings } from "./findings.ts";

type PayloadFile = Extract<BundlePath, { readonly field: unknown }>;

/**
 * The payload files of one chunk against what its records commit to. `present` and the rest are counts; what the chunk's
 * end finds without a file is handed on.
 */
export class PayloadCheck {
  readonly #findings: Findings;
  readonly #interrupted = new Set<string>();
  readonly #uncommitted = new Set<string>();
  #salt: { readonly path: string; readonly bytes: Buffer } | undefined;
  /** Of this chunk; records put in what should be here. */
  readonly committed: CommittedPayloads = new CommittedPayloads();
  present = 0;
  mismatched = 0;
  uncommitted = 0;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  /** A call that a crash cut: what was kept of it may be here, and nothing commits to it. */
  interrupted(call: string): void {
    this.#interrupted.add(call);
  }

  /** @param bytes base64 of 32 bytes, and a newline */
  salt(file: PayloadFile, path: string, bytes: Buffer): void {
    this.#strayed();
    const salt = Buffer.from(bytes.toString("latin1"), "base64");
    if (salt.length !== SALT_BYTES || `${salt.toString("base64")}\n` !== bytes.toString("latin1")) {
      this.#findings.add("payload_mismatch", "a salt is 32 bytes in base64", { file: path, ...whose(file) });
    }
    this.#salt = { path: payloadPath(file.call, file.field), bytes: salt };
  }

  /** @returns takes the content as it streams, and judges it at its end */
  payload(file: PayloadFile, path: string): { update(bytes: Uint8Array): void; end(): void } {
    const salt = this.#salt?.path === path ? this.#salt.bytes : undefined;
    if (salt === undefined) this.#strayed();
    this.#salt = undefined;
    const committed = this.committed.take(file.call, file.field);
    if (committed === undefined) return this.#uncommittedPayload(file, path, salt !== undefined);
    const where = { file: path, index: committed.index, ...whose(file) };
    if (salt === undefined) {
      this.mismatched += 1;
      this.#findings.add("payload_mismatch", "a payload whose salt is not in front of it", where);
      return NOTHING;
    }
    const committer = new Committer(salt);
    return {
      update: (bytes) => committer.update(bytes),
      end: () => {
        const { c, len } = committer.finish();
        if (c === committed.c && len === committed.len) {
          this.present += 1;
          return;
        }
        this.mismatched += 1;
        const what = len === committed.len ? "" : `: ${len} bytes instead of ${committed.len}`;
        this.#findings.add(
          "payload_mismatch",
          `not what record ${committed.index} commits to${what}; or its salt is another`,
          where,
        );
      },
    };
  }

  #uncommittedPayload(file: PayloadFile, path: string, salted: boolean): typeof NOTHING {
    if (!salted && this.#interrupted.has(file.call) && !this.#uncommitted.has(path)) {
      this.#uncommitted.add(path);
      this.uncommitted += 1;
    } else {
      const message =
        "no record before it commits to this payload, or it stands twice, or the filters exclude its call";
      this.#findings.add("payload_unexpected", message, { file: path, ...whose(file) });
    }
    return NOTHING;
  }

  /** Ends the chunk. @returns what is committed to, and was not there */
  *close(): Generator<CommittedPayload> {
    this.#strayed();
    yield* this.committed.drain();
    this.#interrupted.clear();
    this.#uncommitted.clear();
  }

  #strayed(): void {
    if (this.#salt === undefined) return;
    this.#findings.add("payload_unexpected", "a salt without its payload behind it", {
      file: `${this.#salt.path}.salt`,
    });
    this.#salt = undefined;
  }
}

const whose = ({ call, field }: PayloadFile): { readonly call: string; readonly field: string } => ({ call, field });
const NOTHING = { update: (_: Uint8Array): void => {}, end: (): void => {} };
