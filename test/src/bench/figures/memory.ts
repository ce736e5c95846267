import { setTimeout as sleep } from "node:timers/promises";
import type { Bench } from "../bench.ts";
import type { Path } from "../paths/path.ts";
import { rssMib, watchRss } from "../proc.ts";
import { atMost, type FigureResult, type Goal, short, type Table } from "../result.ts";

const SESSIONS = 500;
const MAX_SERVER_MIB = 200;
const UNREAD_BYTES = 256 * 1024 * 1024;
const UNREAD_MS = 3000;
const MAX_UNREAD_MIB = 16;

/** Before any load, so that memory which V8 has not given back hides no growth. */
export async function memoryFigure(bench: Bench): Promise<FigureResult> {
  const path = bench.paths.find(({ name }) => name === "hoopish");
  const tables: Table[] = [];
  const goals: Goal[] = [];
  const broken: string[] = [];
  const idle = Object.fromEntries(bench.paths.map((one) => [one.name, rss(one)]));
  for (const _ of bench.rounds("memory", 1)) {
    if (path?.raw === undefined || bench.world === undefined) break;
    const unread = await measureUnread(bench, path, path.raw);
    const sessions = await measureSessions(bench, path, bench.world);
    broken.push(...sessions.broken);
    goals.push(
      atMost(`server RSS with ${SESSIONS} idle sessions`, sessions.rss.server ?? Number.NaN, MAX_SERVER_MIB, "MiB"),
      atMost("an unread 256 MiB answer: server RSS growth", unread.grown.server ?? Number.NaN, MAX_UNREAD_MIB, "MiB"),
      atMost("an unread 256 MiB answer: agent RSS growth", unread.grown.agent ?? Number.NaN, MAX_UNREAD_MIB, "MiB"),
    );
    tables.push({
      title: "hoopish's memory by process",
      note: `RSS in MiB. Idle: after the start. Unread: most growth while a client has asked for 256 MiB and reads nothing for ${UNREAD_MS / 1000} s (its program took ${short(unread.takenMib)} MiB with the head all the same). Sessions: ${SESSIONS} tunnels with a session each, opened in ${short(sessions.seconds)} s.`,
      head: ["process", "idle", "unread: growth", `${SESSIONS} sessions`],
      rows: Object.keys(path.processes()).map((role) => [
        role,
        short(idle.hoopish?.[role]),
        short(unread.grown[role]),
        // The sessions' clients are the bench's own.
        role === "server" ? short(sessions.rss.server) : "–",
      ]),
    });
  }
  const others = bench.paths.filter(({ name }) => name !== "hoopish" && name !== "direct");
  if (others.length > 0) {
    tables.push({
      title: "The others' memory, idle",
      head: ["path", "process", "RSS MiB"],
      rows: others.flatMap((one) => Object.entries(rss(one)).map(([role, mib]) => [one.name, role, short(mib)])),
    });
  }
  return { figure: "memory", tables, goals, broken, data: { idle, goals } };
}

const rss = (path: Path): Record<string, number> =>
  Object.fromEntries(Object.entries(path.processes()).map(([role, pids]) => [role, rssMib(pids)]));

async function measureUnread(
  bench: Bench,
  path: Path,
  raw: NonNullable<Path["raw"]>,
): Promise<{ grown: Record<string, number>; takenMib: number }> {
  // One transfer that is read, so that what is loaded and compiled once is not counted as this one's.
  await bench.load.run("bulkDown", { ...raw, bytes: 8 * 1024 * 1024 });
  await sleep(300);
  const before = rss(path);
  const watch = watchRss(path.processes());
  await bench.load.run("unreadOpen", { ...raw, bytes: UNREAD_BYTES });
  await sleep(UNREAD_MS);
  const most = watch.stop();
  const { bytesTaken } = await bench.load.run("unreadClose", undefined);
  await bench.settle();
  const grown = Object.fromEntries(Object.keys(before).map((role) => [role, (most[role] ?? 0) - (before[role] ?? 0)]));
  return { grown, takenMib: bytesTaken / 2 ** 20 };
}

async function measureSessions(
  bench: Bench,
  path: Path,
  world: NonNullable<Bench["world"]>,
): Promise<{ rss: Record<string, number>; seconds: number; broken: string[] }> {
  const token = await world.idp.mintAccessToken("scientist@bank.example");
  const ask = { serverUrl: world.serverUrl, token, connection: "chat", count: SESSIONS };
  const { opened, seconds, failure } = await bench.load.run("sessionsOpen", ask, 30_000);
  await sleep(1000);
  const measured = rss(path);
  await bench.load.run("sessionsClose", undefined);
  await bench.settle();
  const broken = opened < SESSIONS ? [`only ${opened} of ${SESSIONS} sessions opened: ${failure}`] : [];
  return { rss: measured, seconds, broken };
}
