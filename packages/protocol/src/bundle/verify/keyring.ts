import { HoopishError } from "../../errors.ts";
import { type Checkpoint, parseCheckpoint, treeSizeOf } from "../../tlog/checkpoint.ts";
import { cosignatureTime } from "../../tlog/cosignature.ts";
import { type OpenedNote, openNote, type VerifiedSignature } from "../../tlog/note.ts";
import { NoteError } from "../../tlog/note-error.ts";
import { ED25519, type NoteVerifier } from "../../tlog/note-key.ts";
import { parseVkey } from "../../tlog/vkey.ts";
import { BundleError } from "../bundle-error.ts";

/** A checkpoint that a log key has signed. */
export interface TrustedCheckpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
  /** Names of the witnesses, among the keys given, that cosigned. */
  readonly witnesses: readonly string[];
  /** Unix milliseconds of the first of their cosignatures. */
  readonly witnessedMs: number | undefined;
}

/**
 * The keys that the examiner brings; nothing in a bundle can add one. Keys of type 0x01 are the log's: what they have not
 * signed is nobody's word. Keys of type 0x04 are witnesses': they confirm a checkpoint, and cannot make one.
 */
export class Keyring {
  readonly #log: readonly NoteVerifier[];
  readonly #all: readonly NoteVerifier[];
  readonly #used = new Set<string>();

  /** @throws HoopishError usage for a key that is none, or when no log key is among them */
  constructor(vkeys: readonly string[]) {
    try {
      this.#all = [...new Set(vkeys.map((vkey) => vkey.trim()))].map(parseVkey);
    } catch (cause) {
      throw new HoopishError("usage", "a key is not a verifier key", {
        hint: "name+01234567+base64, one a key",
        cause,
      });
    }
    this.#log = this.#all.filter(isLogKey);
    if (this.#log.length === 0) {
      throw new HoopishError("usage", "no key of the log was given", { hint: "the log's own, from a trusted source" });
    }
    const ids = new Set(this.#all.map(({ name, keyId }) => `${keyId.toString("hex")} ${name}`));
    if (ids.size !== this.#all.length) throw new HoopishError("usage", "two keys have one name and one id");
  }

  /** Of those given, the keys whose signatures were found and fit. */
  get used(): readonly string[] {
    return [...this.#used];
  }

  /** @throws BundleError signature_missing, signature_wrong, file_malformed */
  checkpoint(note: Uint8Array): TrustedCheckpoint {
    const { text, verified } = this.#open(note, this.#all);
    const cosigned = verified.filter((signature) => !isLogKey(signature));
    const { origin, size, root } = parsed(text);
    return {
      origin,
      size,
      root,
      witnesses: cosigned.map(({ name }) => name),
      witnessedMs: firstTimeMs(cosigned),
    };
  }

  /** A note with one line of signature, of the log, and no other byte. @throws BundleError as {@link checkpoint} */
  soleNote(note: Uint8Array): string {
    const { text, verified } = this.#open(note, this.#log);
    const plain = `${text}\n${verified[0]?.line ?? ""}`;
    if (!Buffer.from(plain).equals(note)) throw new BundleError("file_malformed", "more than one signature, or none");
    return text;
  }

  #open(note: Uint8Array, verifiers: readonly NoteVerifier[]): OpenedNote {
    let opened: OpenedNote;
    try {
      opened = openNote(note, verifiers);
    } catch (error) {
      throw asBundleError(error);
    }
    if (!opened.verified.some(isLogKey)) {
      throw new BundleError("signature_missing", "a witness has signed it, and no key of the log");
    }
    for (const { vkey } of opened.verified) this.#used.add(vkey);
    return opened;
  }
}

/** Hidden in the vkey's last part: base64(type ‖ public key). */
function isLogKey({ vkey }: { readonly vkey: string }): boolean {
  const base64 = /^[^+]+\+[0-9a-f]{8}\+(.+)$/.exec(vkey)?.[1] ?? "";
  return Buffer.from(base64, "base64")[0] === ED25519;
}

function parsed(text: string): Pick<Checkpoint, "origin" | "root"> & { readonly size: number } {
  try {
    const checkpoint = parseCheckpoint(text);
    return { ...checkpoint, size: treeSizeOf(checkpoint) };
  } catch (error) {
    throw asBundleError(error);
  }
}

function firstTimeMs(cosigned: readonly VerifiedSignature[]): number | undefined {
  const times = cosigned.map(({ signature }) => Number(cosignatureTime(signature) ?? Number.NaN) * 1000);
  return times.length === 0 ? undefined : Math.min(...times);
}

function asBundleError(error: unknown): unknown {
  if (!(error instanceof NoteError)) return error;
  switch (error.reason) {
    case "bad_signature":
      return new BundleError("signature_wrong", `its signature is wrong: ${error.message}`, { cause: error });
    case "unsigned":
      return new BundleError("signature_missing", "none of the keys given has signed it", { cause: error });
    default:
      return new BundleError("file_malformed", `it is no signed note: ${error.message}`, { cause: error });
  }
}
