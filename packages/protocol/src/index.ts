export * from "./agent-auth.ts";
export * from "./canonical.ts";
export * from "./canonical-bytes.ts";
export * from "./commitment.ts";
export * from "./control-api.ts";
export * from "./errors.ts";
export * from "./frames.ts";
export * from "./ids.ts";
export * from "./record.ts";
export * from "./streams.ts";
export * from "./times.ts";
export * from "./tlog/checkpoint.ts";
export { cosignatureTime, cosigner } from "./tlog/cosignature.ts";
export * from "./tlog/merkle.ts";
export * from "./tlog/note.ts";
export { NoteError, type NoteReason } from "./tlog/note-error.ts";
export {
  ed25519Signer,
  formatLogKey,
  type NoteSigner,
  type NoteVerifier,
  newLogKey,
  parseLogKey,
} from "./tlog/note-key.ts";
export { MAX_NOTE_BYTES } from "./tlog/note-text.ts";
export * from "./tlog/proofs.ts";
export * from "./tlog/vkey.ts";
