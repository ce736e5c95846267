import { NoteError } from "../tlog/note-error.ts";

/** The reason for which `work` throws a NoteError, or `taken`. Every other exception is a mistake and passes. */
export function reasonOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof NoteError) return error.reason;
    throw error;
  }
  return "taken";
}
