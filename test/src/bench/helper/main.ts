/** A helper process: does jobs that the bench asks for, and ends with it. */
import { bulkDown, bulkLoop, bulkStop, bulkUp } from "./bulk.ts";
import type { Jobs } from "./jobs.ts";
import { requests } from "./requests.ts";
import { sessionsClose, sessionsOpen } from "./sessions.ts";
import { firstEvents, manyStreams, paced } from "./streams.ts";
import { tapListen, tapTarget } from "./tap.ts";
import { unreadClose, unreadOpen } from "./unread.ts";

const JOBS: Jobs = {
  requests,
  tapListen,
  tapTarget,
  firstEvents,
  paced,
  manyStreams,
  bulkDown,
  bulkUp,
  bulkLoop,
  bulkStop,
  sessionsOpen,
  sessionsClose,
  unreadOpen,
  unreadClose,
};

process.on("message", ({ id, job, ask }: { id: number; job: keyof Jobs; ask: never }) => {
  JOBS[job](ask).then(
    (value) => process.send?.({ id, value }),
    (error: unknown) => process.send?.({ id, error: `${job}: ${error instanceof Error ? error.message : error}` }),
  );
});
// The bench's own end, however it came.
process.on("disconnect", () => process.exit(0));
// The terminal sends SIGINT to everybody; the bench decides when this ends.
process.on("SIGINT", () => undefined);
