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
/** Where the next batch will stand in the ring, and where the first one stands that is not in the database. */
export const RING_TAIL = 4;
export const RING_HEAD = 5;
/** Checkpoints of the WAL that the writer has asked the reader for, and the last that was done. */
export const CHECKPOINTS_ASKED = 6;
export const CHECKPOINTS_DONE = 7;
/** 1: the writer sleeps until somebody wakes it. 0: it looks at the ring by itself before long. */
export const WRITER_ASLEEP = 8;

/** 1: somebody waits for what stands in the ring, or there is much of it. */
export const RING_URGENT = 9;

const CONTROL_BYTES = 64;
/** What may be durable in the intake and not yet in the database; a larger batch goes in a message. */
const RING_BYTES = 4 * 1024 * 1024;

export const sharedMemory = (): SharedArrayBuffer => new SharedArrayBuffer(CONTROL_BYTES + RING_BYTES);
export const controlOf = (memory: SharedArrayBuffer): Int32Array => new Int32Array(memory, 0, CONTROL_BYTES / 4);
export const ringOf = (memory: SharedArrayBuffer): Buffer => Buffer.from(memory, CONTROL_BYTES);

export function ring(control: Int32Array, { bell }: Slots): void {
  Atomics.add(control, bell, 1);
  Atomics.notify(control, bell);
}
