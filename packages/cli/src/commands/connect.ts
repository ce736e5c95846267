import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { HoopishError } from "@hoopish/protocol";
import { runChild } from "../child.ts";
import { FrontDoor } from "../connect/front-door.ts";
import { Link } from "../connect/link.ts";
import { OpenConnection } from "../connect/open-connection.ts";
import { choosePorts } from "../connect/ports.ts";
import { keepSignedIn } from "../connect/renewal.ts";
import { createReporter } from "../connect/reporter.ts";
import { childEnv, endpointEnv } from "../connect/usage.ts";
import type { Context } from "../context.ts";
import { observeCheckpoint } from "../evidence/observe.ts";

export interface ConnectOptions {
  readonly port?: number;
  readonly reason?: string;
  readonly ticket?: string;
  readonly requireKey?: boolean;
  /** What stood after `--`. */
  readonly childCommand?: readonly string[];
}

/** Opens connections as local ports until a signal, the child's end, or the server's word. @returns the exit code */
export async function connect(
  context: Context,
  names: readonly string[],
  options: ConnectOptions,
): Promise<number | undefined> {
  checkCommandLine(names, options);
  const server = await context.server();
  const tokens = await context.tokens();
  // No session with a server whose log was cut or rewritten: nothing of it would stay on the record.
  await observeCheckpoint(context, await context.api());
  const ports = choosePorts(names, options.port, server, await context.settings());
  // Doors first: a port that is taken is told before any session stands in the bank's records.
  const doors = await openDoors(names, ports);
  const stop = new AbortController();
  const stopped = AbortSignal.any([stop.signal, context.signal]);
  const reporter = await createReporter(context, options.childCommand !== undefined);
  const link = new Link({
    server,
    tokens,
    env: context.world.env,
    onReconnecting: (attempt, delayMs, message) => {
      if (!stopped.aborted) reporter.tell({ event: "reconnecting", connections: names, attempt, delayMs, message });
    },
  });
  const key = options.requireKey ? `hoopish_${randomBytes(24).toString("base64url")}` : undefined;
  const { reason, ticket } = options;
  const connections = doors.map(
    ({ name, door }) =>
      new OpenConnection({ context, name, door, link, reporter, reason, ticket, key, signal: stopped }),
  );
  const renewal = keepSignedIn({
    tokens,
    now: context.world.now,
    signal: stopped,
    renew: (token) => link.renew(token),
    onProblem: (ms, message) =>
      reporter.tell({ event: "sign_in_ending", expiresAt: new Date(ms).toISOString(), message }),
  });
  try {
    const sessions = untilAllEnded(connections);
    const over = Promise.race([sessions, link.failed, renewal]);
    await Promise.race([over, Promise.all(connections.map((connection) => connection.ready))]);
    if (options.childCommand === undefined) return await over;
    return await runWith(context, options.childCommand, connections, key, over);
  } catch (error) {
    if (context.signal.aborted) return undefined;
    throw error;
  } finally {
    // In order: nobody new, sessions closed well, then the tunnel.
    for (const { door } of doors) door.close();
    stop.abort();
    await Promise.all(connections.map((connection) => connection.close()));
    // A token that is being exchanged at this moment is stored before the command ends.
    await renewal.catch(() => {});
    await link.close();
    await reporter.close();
  }
}

function checkCommandLine(names: readonly string[], options: ConnectOptions): void {
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) {
    throw new HoopishError("usage", `${twice} is named twice`, { hint: "one port can be used by many programs" });
  }
  if (options.childCommand?.length === 0) {
    throw new HoopishError("usage", "there is no command after --", {
      hint: "hoopish connect model-x -- python ask.py",
    });
  }
}

interface Door {
  readonly name: string;
  readonly door: FrontDoor;
}

async function openDoors(names: readonly string[], ports: readonly number[]): Promise<readonly Door[]> {
  const doors: Door[] = [];
  try {
    for (const [at, name] of names.entries()) doors.push({ name, door: await FrontDoor.open(name, ports[at] ?? 0) });
    return doors;
  } catch (error) {
    for (const { door } of doors) door.close();
    throw error;
  }
}

/** One session may end while others go on. @throws HoopishError why the first of them ended */
async function untilAllEnded(connections: readonly OpenConnection[]): Promise<never> {
  const results = await Promise.allSettled(connections.map((connection) => connection.run()));
  throw results.find((result) => result.status === "rejected")?.reason;
}

/** Runs the child while the sessions last; when they end first, so does it. */
async function runWith(
  context: Context,
  command: readonly string[],
  connections: readonly OpenConnection[],
  key: string | undefined,
  over: Promise<unknown>,
): Promise<number> {
  const [program = "", ...args] = command;
  const endpoints = await Promise.all(connections.map((connection) => connection.ready));
  const env = childEnv(context.world.env, endpointEnv(endpoints, key));
  const child = spawn(program, args, { stdio: "inherit", env });
  const code = runChild(child, program, context.world, context.interrupts);
  const ended = await Promise.race([code, over.then(() => undefined).catch((error: unknown) => ({ error }))]);
  if (typeof ended === "number") return ended;
  // The sessions went first: what the child still sends would be refused, so it is asked to end.
  child.kill("SIGTERM");
  const mercy = setTimeout(() => child.kill("SIGKILL"), 5_000);
  await code;
  clearTimeout(mercy);
  throw ended?.error;
}
