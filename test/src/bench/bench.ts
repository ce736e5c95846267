import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Program, run } from "../world/program.ts";
import type { World } from "../world/world.ts";
import { Patience } from "./calm.ts";
import { Helper } from "./helper/helper.ts";
import type { Lifetime } from "./lifetime.ts";
import type { BenchOptions, PathName } from "./options.ts";
import { startHoopish } from "./paths/hoopish.ts";
import { type OtherProtocols, startOtherProtocols } from "./paths/other-protocols.ts";
import { directPath, type Model, type Path } from "./paths/path.ts";
import { portkeyPath } from "./paths/portkey.ts";
import { sshPath } from "./paths/ssh.ts";
import { whyNoSsh } from "./paths/sshd.ts";

/** Scratch of the repository, git-ignored, on its disk: a log in a RAM disk would be durable for free. */
export const SCRATCH: string = fileURLToPath(new URL("../../../.bench/", import.meta.url));

/** Between two measurements: what the former one left in flight is gone. */
const SETTLE_MS = 120;

/** All paths, open, and the clients that measure them. */
export interface Bench {
  readonly options: BenchOptions;
  readonly paths: readonly Path[];
  readonly model: Model;
  /** Undefined when hoopish is not among the paths. */
  readonly world: World | undefined;
  /** Drives requests and transfers. */
  readonly load: Helper;
  /** Times streams; has the tap. */
  readonly clock: Helper;
  readonly leftOut: readonly string[];
  readonly patience: Patience;
  /** Counts to `rounds`, and ends early, after at least one, when the time is up. */
  rounds(what: string, rounds: number): Generator<number>;
  /** The paths in this round's order, which turns about: none always comes first, or after the same other. */
  inTurn(round: number): readonly Path[];
  settle(): Promise<void>;
  /** A second hoopish, with programs of its own: whose log is in this file, or with more in its configuration. */
  /** A hoopish with a gRPC model server and a PostgreSQL behind it. */
  protocols(): Promise<OtherProtocols>;
  another(where: { readonly store?: string; readonly serverExtra?: string }): Promise<Path>;
}

export async function openBench(options: BenchOptions, lifetime: Lifetime): Promise<Bench> {
  mkdirSync(SCRATCH, { recursive: true });
  const dir = mkdtempSync(join(SCRATCH, "run-"));
  lifetime.defer("scratch folder", () => rmSync(dir, { recursive: true, force: true }));
  const keep = (program: Program): void => lifetime.defer(program.name, () => program.stop());
  const helper = (): Helper => {
    const started = new Helper();
    lifetime.defer("helper process", () => started.end());
    return started;
  };
  const [load, clock] = [helper(), helper()];
  const tap = await clock.run("tapListen", undefined);
  const tapUrl = `http://127.0.0.1:${tap.port}`;

  const wanted = (name: PathName): boolean => options.paths.includes(name);
  const hoopish = wanted("hoopish") ? await startHoopish(join(dir, "world"), tapUrl, options.profile) : undefined;
  if (hoopish !== undefined) lifetime.defer("hoopish", () => hoopish.world.close());
  const model = hoopish?.model ?? (await startModel(keep));
  await clock.run("tapTarget", { port: Number(new URL(model.url).port) });

  const leftOut: string[] = [];
  const paths: Path[] = [];
  if (wanted("direct")) paths.push(directPath(model, tapUrl));
  const noSsh = wanted("ssh") ? whyNoSsh() : "ssh: not asked for";
  if (noSsh === undefined) paths.push(await sshPath(join(dir, "ssh"), model, tapUrl, keep));
  else leftOut.push(noSsh);
  if (wanted("portkey")) {
    await portkeyPath(join(SCRATCH, "portkey"), model, tapUrl, keep).then(
      (path) => paths.push(path),
      (error: unknown) => leftOut.push(`portkey: ${error instanceof Error ? error.message : String(error)}`),
    );
  } else leftOut.push("portkey: not asked for");
  if (hoopish !== undefined) paths.push(await hoopish.connect());

  const deadline = performance.now() + options.deadlineMs;
  return {
    options,
    paths,
    model,
    world: hoopish?.world,
    load,
    clock,
    leftOut,
    patience: new Patience(options.patienceMs),
    *rounds(what, rounds) {
      for (let round = 0; round < rounds; round++) {
        if (round > 0 && performance.now() > deadline) {
          process.stderr.write(`bench: ${what}: no time for rounds ${round + 1} to ${rounds}\n`);
          return;
        }
        process.stderr.write(`bench: ${what}, round ${round + 1} of ${rounds}\n`);
        yield round;
      }
    },
    inTurn: (round) => (round % 2 === 0 ? paths : paths.toReversed()),
    settle: () => sleep(SETTLE_MS),
    async another(where) {
      const other = await startHoopish(mkdtempSync(join(dir, "other-")), tapUrl, undefined, where);
      lifetime.defer("another hoopish", () => other.world.close());
      return await other.connect();
    },
    protocols: () => startOtherProtocols(mkdtempSync(join(dir, "protocols-")), lifetime, options.profile),
  };
}

/** The model server alone, where hoopish is not measured. */
async function startModel(keep: (program: Program) => void): Promise<Model> {
  const credential = `model-secret-${crypto.randomUUID()}`;
  const program = run("model-server", ["--port", "0", "--json"], { env: { MODEL_SERVER_CREDENTIAL: credential } });
  keep(program);
  const { url } = await program.event<{ url: string }>((event) => event.url !== undefined);
  return { url, credential, pid: program.pid };
}
