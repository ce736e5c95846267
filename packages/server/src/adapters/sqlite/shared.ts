/**
 * Memory that the server's thread and a database thread share. The database thread sleeps in Atomics.wait on the bell:
 * a wake-up through it takes half the time and processor of a message. Answers go back as messages.
 */

/** Slots of the control words. */
export const BELL = 0;
/** Messages sent to the thread, so that it looks for one only when there is one. */
export const MESSAGES = 1;
/** Bytes of the batch that lies in `batch`; 0: none. */
export const BATCH = 2;
/** Checkpoints of the WAL that the writer has asked for, and that are done. */
export const CHECKPOINTS_ASKED = 3;
export const CHECKPOINTS_DONE = 4;
/** Not 0: whoever waits for another thread is to end. */
export const CLOSING = 5;

const CONTROL_BYTES = 64;
/** Batches up to this size cross in shared memory; larger ones, which one large payload piece can make, in a message. */
const BATCH_BYTES = 4 * 1024 * 1024;

export const sharedMemory = (forBatches: boolean): SharedArrayBuffer =>
  new SharedArrayBuffer(CONTROL_BYTES + (forBatches ? BATCH_BYTES : 0));
export const controlOf = (memory: SharedArrayBuffer): Int32Array => new Int32Array(memory, 0, CONTROL_BYTES / 4);
export const batchOf = (memory: SharedArrayBuffer): Buffer => Buffer.from(memory, CONTROL_BYTES);
