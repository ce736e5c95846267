import { ERROR_SHAPES, HoopishError, isCallId, isSessionId } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { replayEvents } from "../replay/events.ts";
import { replayLines } from "../replay/lines.ts";
import { Pace, type Speed } from "../replay/pace.ts";
import { Player } from "../replay/player.ts";
import { isLive } from "../terminal/style.ts";

export interface AuditReplayOptions {
  readonly speed: Speed;
  readonly step?: boolean;
  readonly raw?: boolean;
}

/** Plays a recorded session: on a terminal with its timing, elsewhere at once, with `--json` as events. */
export async function auditReplay(
  context: Context,
  id: string | undefined,
  options: AuditReplayOptions,
): Promise<void> {
  if (!isSessionId(id)) {
    const what = id === undefined ? "the command line names no session" : `"${id}" is not a session's id`;
    throw new HoopishError("usage", what, {
      hint: "hoopish sessions list --state all shows them: ses_ and 32 hexadecimal digits",
    });
  }
  const { world, output, signal } = context;
  if (options.step && !world.stdin.isTTY) {
    throw new HoopishError("usage", "--step waits for a key, and standard input is no terminal", { hint: "--speed" });
  }
  const { body } = await (await context.api()).stream(`/api/v1/audit/sessions/${id}/replay`);
  const lines = replayLines(whole(body, signal));
  if (output.json) {
    for await (const event of replayEvents(lines)) output.event(event, () => []);
    return;
  }
  const pace = new Pace(isLive(world.stdout, world.env) ? options.speed : "max", signal);
  const player = new Player({
    output,
    stdout: world.stdout,
    signal,
    raw: options.raw ?? false,
    until: (atMs, kind) => pace.until(atMs, kind),
    next: async (atMs) => {
      if (!options.step) return true;
      output.note("a key: the next call; q: enough");
      const key = await world.stdin.key(signal);
      pace.rest(atMs);
      return !/^[qQ]$/.test(key);
    },
  });
  await player.play(lines);
}

/** A server that breaks off cuts the connection, and part of a session never looks like all of it. */
async function* whole(body: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch (cause) {
    signal.throwIfAborted();
    throw new HoopishError("unreachable", "the server broke the replay off", { hint: "run it again", cause });
  }
}

export interface AuditReissueOptions {
  readonly reissue: string;
  readonly reason?: string;
  readonly ticket?: string;
}

/** Sends one recorded request again, and shows how the answer is different. @returns 5 when policy refused it this time */
export async function auditReissue(
  context: Context,
  session: string | undefined,
  options: AuditReissueOptions,
): Promise<number> {
  const { reissue: call, ...why } = options;
  if (session !== undefined) {
    throw new HoopishError("usage", "--reissue sends one call again; a session is played", { hint: "one of the two" });
  }
  if (!isCallId(call)) {
    throw new HoopishError("usage", `"${call}" is not a call's id`, { hint: "hoopish audit list shows them" });
  }
  const { reissue } = await import("../replay/reissue.ts");
  const { differenceLines } = await import("../replay/difference-lines.ts");
  const done = await reissue(context, call, why);
  context.output.show(done, differenceLines);
  return done.verdict === "block" ? ERROR_SHAPES.policy_blocked.exit : 0;
}
