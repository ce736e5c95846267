/**
 * A place for bytes whose number must be known before they are used, and which are too many for memory. Nobody else sees
 * it, and nothing of it is left when it is closed or the process ends.
 */
export interface Spool {
  /** One at a time; the bytes are taken when it resolves. */
  append(bytes: Uint8Array): Promise<void>;
  /** Bytes appended so far. */
  readonly size: number;
  /** From the beginning, in order; any number of times, when nothing is appended any more. */
  read(): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

/** @throws HoopishError evidence_unavailable when there is no room for it */
export type OpenSpool = () => Promise<Spool>;
