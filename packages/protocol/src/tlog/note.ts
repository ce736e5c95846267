import { malformed, NoteError } from "./note-error.ts";
import { isKeyName, KEY_ID_BYTES, type NoteSigner, type NoteVerifier } from "./note-key.ts";
import { decodeBase64, isCleanText, readText } from "./note-text.ts";

/**
 * Signed notes (C2SP signed-note): a text, a blank line, and a line for each signature:
 * `— <key name> <base64(key id ‖ signature)>`. The text is worth nothing before a known key's signature is verified.
 */

/** More than any log has; each known one costs a verification. */
export const MAX_NOTE_SIGNATURES = 100;

const EM_DASH = "\u2014 ";

/** A signature that was verified. */
export interface VerifiedSignature {
  readonly name: string;
  readonly keyId: Buffer;
  readonly vkey: string;
  /** What stands behind the key id; of a cosignature `cosignatureTime` tells the time. */
  readonly signature: Buffer;
  /** The line as it stands in the note, with its newline. */
  readonly line: string;
}

export interface OpenedNote {
  /** With its last newline, without the blank line. */
  readonly text: string;
  /** One entry for each known key, in the note's order: a key that signed twice is one signer. */
  readonly verified: readonly VerifiedSignature[];
  /** Lines of keys that are not known: ignored. */
  readonly unknown: number;
}

/**
 * Signs a text.
 * @param text ends in a newline; no control characters but newlines
 * @throws NoteError malformed
 */
export function signNote(text: string, signers: readonly NoteSigner[]): string {
  if (!text.endsWith("\n") || !isCleanText(text)) throw malformed("a note's text ends in a newline and is plain text");
  if (signers.length === 0) throw new NoteError("unsigned", "a note has at least one signature");
  const note = `${text}\n${signers.map((signer) => signatureLine(signer, text)).join("")}`;
  parseNote(note);
  return note;
}

/** `— name base64\n`: what a witness answers with. @param text the note's text, with its last newline */
export function signatureLine(signer: NoteSigner, text: string): string {
  const signature = Buffer.concat([signer.keyId, signer.sign(Buffer.from(text))]);
  return `${EM_DASH}${signer.name} ${signature.toString("base64")}\n`;
}

/**
 * Puts signature lines under a note; one that is there already is not put there again. Nothing is verified here.
 * @param lines each with its newline, or several in one string; they may come from a stranger, as a witness's answer does
 * @throws NoteError malformed, too_large
 */
export function addSignatures(note: string, ...lines: readonly string[]): string {
  const present = new Set(parseNote(note).signatures.map(({ line }) => line));
  let signed = note;
  for (const line of lines.flatMap(splitLines)) {
    if (!present.has(line)) signed += line;
    present.add(line);
  }
  parseNote(signed);
  return signed;
}

/** Line by line: a blank one among them would make text of the signatures above it. */
function splitLines(lines: string): string[] {
  const text = readText(lines);
  if (!text.endsWith("\n")) throw malformed("a signature line ends in a newline");
  return text
    .slice(0, -1)
    .split("\n", MAX_NOTE_SIGNATURES + 1)
    .map((line) => parseSignature(line).line);
}

/**
 * Reads a note from anybody.
 * @param verifiers the keys that are known; their signatures must all fit, those of other keys are ignored
 * @throws NoteError too_large, malformed; bad_signature when a known key's signature does not fit; unsigned when no
 * known key has signed; bad_key when two verifiers share name and id
 */
export function openNote(note: string | Uint8Array, verifiers: readonly NoteVerifier[]): OpenedNote {
  const known = knownKeys(verifiers);
  const { text, signatures } = parseNote(note);
  const message = Buffer.from(text);
  const verified = new Map<string, VerifiedSignature>();
  let unknown = 0;
  for (const { name, keyId, signature, line } of signatures) {
    const key = keyOf(name, keyId);
    const verifier = known.get(key);
    if (verifier === undefined) {
      unknown += 1;
      continue;
    }
    if (!verifier.verify(message, signature)) {
      throw new NoteError("bad_signature", `the signature of ${verifier.name} does not fit the text`);
    }
    if (!verified.has(key)) verified.set(key, { name, keyId, vkey: verifier.vkey, signature, line });
  }
  if (verified.size === 0) throw new NoteError("unsigned", "no known key has signed");
  return { text, verified: [...verified.values()], unknown };
}

const keyOf = (name: string, keyId: Buffer): string => `${keyId.toString("hex")} ${name}`;

function knownKeys(verifiers: readonly NoteVerifier[]): Map<string, NoteVerifier> {
  const known = new Map<string, NoteVerifier>();
  for (const verifier of verifiers) {
    const key = keyOf(verifier.name, verifier.keyId);
    // Key ids are 4 bytes: a second key with the same one can be made on purpose.
    if ((known.get(key)?.vkey ?? verifier.vkey) !== verifier.vkey) {
      throw new NoteError("bad_key", `two keys named ${verifier.name} have the same id`);
    }
    known.set(key, verifier);
  }
  return known;
}

interface SignatureLine {
  readonly name: string;
  readonly keyId: Buffer;
  readonly signature: Buffer;
  readonly line: string;
}

/** @throws NoteError too_large, malformed */
function parseNote(input: string | Uint8Array): { text: string; signatures: SignatureLine[] } {
  const note = readText(input);
  // The last blank line: the text may have blank lines of its own.
  const blank = note.lastIndexOf("\n\n");
  if (blank === -1 || !note.endsWith("\n")) throw malformed("a note is a text, a blank line and signatures");
  const lines = note.slice(blank + 2, -1).split("\n", MAX_NOTE_SIGNATURES + 1);
  if (lines.length > MAX_NOTE_SIGNATURES) {
    throw new NoteError("too_large", `more than ${MAX_NOTE_SIGNATURES} signatures`);
  }
  return { text: note.slice(0, blank + 1), signatures: lines.map(parseSignature) };
}

function parseSignature(line: string): SignatureLine {
  const space = line.indexOf(" ", EM_DASH.length);
  const name = line.slice(EM_DASH.length, space);
  if (!line.startsWith(EM_DASH) || space === -1 || !isKeyName(name)) {
    throw malformed("a signature is written — <key name> <base64>");
  }
  const bytes = decodeBase64(line.slice(space + 1));
  if (bytes.length <= KEY_ID_BYTES) throw malformed("a signature is longer than its key's id");
  const [keyId, signature] = [bytes.subarray(0, KEY_ID_BYTES), bytes.subarray(KEY_ID_BYTES)];
  return { name, keyId, signature, line: `${line}\n` };
}
