/**
 * Memory that the server's thread and the database threads share. A database thread sleeps in Atomics.wait on its bell:
 * a wake-up through it takes half the time and processor of a message. Answers go back as messages.
 */

export type Role = "writer" | "reader";

/** Slots of the control words, by the thread that they are for. */
export interface Slots {
  /** Counts up when there is something to do. */
  readonly bell: number;
  /** Messages sent to the thread, so that it looks for one only when there is one. */
  readonly messages: number;
}
export const SLOTS: Readonly<Record<Role, Slots>> = {
  writer: { bell: 0, messages: 1 },
  reader: { bell: 2, messages: 3 },
};
/** Bytes of the batch that lies in `batch`; 0: none. */
export const BATCH = 4;
/** Checkpoints of the WAL that the writer has asked the reader for, and the last that was done. */
export const CHECKPOINTS_ASKED = 5;
export const CHECKPOINTS_DONE = 6;

const CONTROL_BYTES = 64;
/** Batches up to this size cross in shared memory; larger ones, which one large payload piece can make, in a message. */
const BATCH_BYTES = 4 * 1024 * 1024;

export const sharedMemory = (): SharedArrayBuffer => new SharedArrayBuffer(CONTROL_BYTES + BATCH_BYTES);
export const controlOf = (memory: SharedArrayBuffer): Int32Array => new Int32Array(memory, 0, CONTROL_BYTES / 4);
export const batchOf = (memory: SharedArrayBuffer): Buffer => Buffer.from(memory, CONTROL_BYTES);

export function ring(control: Int32Array, { bell }: Slots): void {
  Atomics.add(control, bell, 1);
  Atomics.notify(control, bell);
}
