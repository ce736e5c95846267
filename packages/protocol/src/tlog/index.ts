export * from "./checkpoint.ts";
export { cosignatureTime, cosigner } from "./cosignature.ts";
export * from "./merkle.ts";
export * from "./note.ts";
export { NoteError, type NoteReason } from "./note-error.ts";
export {
  ed25519Signer,
  formatLogKey,
  type NoteSigner,
  type NoteVerifier,
  newLogKey,
  parseLogKey,
} from "./note-key.ts";
export { MAX_NOTE_BYTES } from "./note-text.ts";
export * from "./proofs.ts";
export * from "./tlog-proof.ts";
export * from "./vkey.ts";
export * from "./witness.ts";
