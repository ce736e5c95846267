import { parseArgs } from "node:util";

export const FIGURES = [
  "memory",
  "requests",
  "log",
  "masking",
  "stream",
  "streams",
  "bulk",
  "beside",
  "grpc",
  "postgres",
  "rows",
] as const;
export type FigureName = (typeof FIGURES)[number];

export const PATHS = ["direct", "ssh", "portkey", "hoopish"] as const;
export type PathName = (typeof PATHS)[number];

export interface BenchOptions {
  readonly figures: readonly FigureName[];
  readonly paths: readonly PathName[];
  readonly rounds: number;
  /** Length of one measurement of requests a second. */
  readonly seconds: number;
  readonly connections: readonly number[];
  readonly bulkBytes: number;
  readonly bulkRounds: number;
  /** How long each of the 200 streams lives. */
  readonly streamSeconds: number;
  /** How long in all it may wait for other programs to pause, and repeat what they disturbed. */
  readonly patienceMs: number;
  /** After so long no new round begins, whatever is left to do. */
  readonly deadlineMs: number;
  readonly json: string | undefined;
  readonly markdown: string | undefined;
  readonly profile: string | undefined;
}

const MIB = 1024 * 1024;

export const HELP: string = `Measures hoopish beside other ways to a model server, on this machine, in one run.

  npm run bench [-- OPTIONS]

  --only NAME,…     figures: ${FIGURES.join(", ")}
  --paths NAME,…    paths: ${PATHS.join(", ")}
  --rounds N        rounds of the requests and stream figures, default 5
  --seconds N       length of one requests-a-second measurement, default 1.2
  --connections N,… keep-alive connections of the requests figure, default 1,32,128
  --quick           fewer and shorter rounds, 64 MiB instead of 256: under 90 s
  --patience N      seconds it may spend on waiting for other programs to leave the processors alone, and on
                    measuring again what they disturbed; default 60, with --quick 10
  --json FILE       write everything that was measured, every round
  --markdown FILE   write the tables as they are printed
  --profile DIR     run server, agent and CLI under V8's CPU profiler, and print where the time went;
                    the figures of such a run are not comparable with others

ssh is left out where sshd is not installed, Portkey's gateway where npm cannot fetch it (into .bench/portkey).
Goals are printed with ✓ or ✗; a missed goal is no failure. Exit code 1: something broke, or bytes were lost.

Example: npm run bench -- --only requests --rounds 3 --json bench.json
`;

/** @throws Error with a sentence for the user. */
export function readOptions(argv: readonly string[]): BenchOptions | "help" {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: "string" },
      paths: { type: "string" },
      rounds: { type: "string" },
      seconds: { type: "string" },
      connections: { type: "string" },
      quick: { type: "boolean", default: false },
      patience: { type: "string" },
      json: { type: "string" },
      markdown: { type: "string" },
      profile: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  const quick = values.quick;
  const patienceMs = 1000 * positive("--patience", values.patience, quick ? 10 : 60, 86_400);
  return {
    figures: names("--only", values.only, FIGURES),
    paths: names("--paths", values.paths, PATHS),
    rounds: positive("--rounds", values.rounds, quick ? 3 : 5),
    seconds: positive("--seconds", values.seconds, quick ? 0.4 : 1.2),
    connections: counts(values.connections, quick ? [1, 32] : [1, 32, 128]),
    bulkBytes: (quick ? 64 : 256) * MIB,
    bulkRounds: quick ? 2 : 3,
    streamSeconds: quick ? 2 : 4,
    patienceMs,
    deadlineMs: (quick ? 65 : 270) * 1000 + patienceMs,
    json: values.json,
    markdown: values.markdown,
    profile: values.profile,
  };
}

function names<T extends string>(option: string, given: string | undefined, known: readonly T[]): readonly T[] {
  if (given === undefined) return known;
  const wanted = given.split(",").map((name) => name.trim());
  const strange = wanted.find((name) => !(known as readonly string[]).includes(name));
  if (strange !== undefined) throw new Error(`${option}: "${strange}" is not one of ${known.join(", ")}`);
  // In the order of the list, so that a run reads the same however it was asked for.
  return known.filter((name) => wanted.includes(name));
}

function counts(given: string | undefined, otherwise: readonly number[]): readonly number[] {
  return given === undefined ? otherwise : given.split(",").map((count) => positive("--connections", count, 1));
}

function positive(option: string, given: string | undefined, otherwise: number, most = 1000): number {
  const value = given === undefined ? otherwise : Number(given);
  if (!(value >= 0 && value <= most)) throw new Error(`${option} takes a number from 0 to ${most}`);
  return value;
}
