import { discoverySchema, HoopishError, logConsistencySchema, type NoteVerifier } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import type { ApiClient } from "../http/api-client.ts";
import {
  type ConsistencyFetcher,
  checkPin,
  contradiction,
  givenKey,
  openKey,
  openSeen,
  type SeenCheckpoint,
} from "./pin.ts";
import { type Pin, PinFile } from "./pin-file.ts";

export interface ObserveOptions {
  /** The log's vkey, from somewhere else than the server: it is believed instead of the key that was pinned. */
  readonly key?: string;
}

/** How often a command starts over because another one has been faster. */
const ROUNDS = 5;

/**
 * Asks the server for its log's newest checkpoint, checks it against the pinned one, and pins it.
 * @returns the pin; undefined when the server has no log, and never had one
 * @throws HoopishError log_inconsistent when the log contradicts the pin; what the network throws
 */
export async function observeCheckpoint(
  context: Context,
  api: ApiClient,
  options: ObserveOptions = {},
): Promise<Pin | undefined> {
  const file = pinFileOf(context, await context.server());
  const given = options.key === undefined ? undefined : givenKey(options.key);
  for (let round = 0; round < ROUNDS; round++) {
    const pin = await observeOnce(context, api, file, given);
    if (pin !== "overtaken") return pin;
  }
  throw new HoopishError("internal", "other commands change this machine's key for the log all the time");
}

/**
 * A checkpoint that the server gave with something else, after `pin` was known: checked against it, and pinned.
 * @throws HoopishError log_inconsistent when the log contradicts the pin
 */
export async function observeNote(context: Context, api: ApiClient, pin: Pin, note: string): Promise<void> {
  const file = pinFileOf(context, await context.server());
  const at = new Date(context.world.now()).toISOString();
  try {
    const seen = openSeen(note, openKey(pin.vkey));
    const moved = await moveOn(file, pin, { ...pin, note: seen.note, seenAt: at }, seen, fetcher(api));
    if (moved !== "overtaken") return;
  } catch (error) {
    if (!(error instanceof HoopishError) || error.code !== "log_inconsistent") throw error;
    throw await complaint(error, file, { pinned: pin, shown: note, at });
  }
  throw new HoopishError("conflict", "another command has given this machine another key for the log", {
    hint: "run it again",
  });
}

async function observeOnce(
  context: Context,
  api: ApiClient,
  file: PinFile,
  given: NoteVerifier | undefined,
): Promise<Pin | undefined | "overtaken"> {
  const server = await context.server();
  const at = new Date(context.world.now()).toISOString();
  // Before the server is asked: what it shows now must not be behind what was pinned by then.
  const pinned = await file.read();
  let shown: string | undefined;
  try {
    // Once pinned, a log has to be shown, whatever discovery says of it.
    const log = pinned === undefined ? (await api.get("/.well-known/hoopish", discoverySchema)).log : pinned;
    if (log === undefined && given === undefined) return undefined;
    shown = await answered(api.text("/api/v1/log/checkpoint"), "its log's checkpoint");
    const key = given ?? openKey(log?.vkey ?? "");
    const seen = openSeen(shown, key);
    if (log !== undefined && "origin" in log && log.origin !== seen.origin) {
      throw contradiction(`the server calls its log "${log.origin}", and the checkpoint is that of "${seen.origin}"`);
    }
    const trust = given === undefined ? (pinned?.trust ?? "first_use") : "given";
    const next: Pin = { v: 1, server, vkey: key.vkey, trust, note: seen.note, seenAt: at };
    const pin = await moveOn(file, pinned, next, seen, fetcher(api));
    if (pin === next && pinned === undefined) tellFirstUse(context, next);
    return pin;
  } catch (error) {
    if (!(error instanceof HoopishError) || error.code !== "log_inconsistent") throw error;
    throw await complaint(error, file, { pinned, shown, at });
  }
}

export function pinFileOf(context: Context, server: string): PinFile {
  const { host, uid } = context.world;
  return new PinFile({ configDir: context.configDir, uid, host, pid: process.pid }, server);
}

/** Checks against the pin, and against each one that another command puts there meanwhile; then moves it on. */
async function moveOn(
  file: PinFile,
  before: Pin | undefined,
  next: Pin,
  seen: SeenCheckpoint,
  consistency: ConsistencyFetcher,
): Promise<Pin | "overtaken"> {
  let pinned = before;
  for (let round = 0; round < ROUNDS; round++) {
    if (pinned !== undefined) {
      // Another key than the one that the checkpoint was verified with has been given meanwhile.
      if (round > 0 && pinned.vkey !== next.vkey) return "overtaken";
      const known = openSeen(pinned.note, openKey(pinned.vkey));
      await checkPin(known, seen, consistency, round === 0 ? "forwards" : "backwards");
      const same = seen.size === known.size && next.vkey === pinned.vkey && next.trust === pinned.trust;
      if (same || seen.size < known.size) return pinned;
    }
    const stands = await file.replace(pinned, next);
    if (stands === next) return next;
    pinned = stands;
  }
  // Checked against all that stood there, and each time another command was faster: what stands is as new.
  return pinned ?? "overtaken";
}

function fetcher(api: ApiClient): ConsistencyFetcher {
  return async (from, to) => {
    const what = `that its ${to} records begin with the ${from} of before`;
    const { proof } = await answered(api.get("/api/v1/log/consistency", logConsistencySchema, { from, to }), what);
    return proof.map((hash) => Buffer.from(hash, "base64"));
  };
}

/** A server that cannot answer now may be asked again later; one that will not answer has something to hide. */
async function answered<T>(answer: Promise<T>, what: string): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    // Who is refused in person (locked out) is not told of a log at all, and sends nothing either.
    const refusesMe = error instanceof HoopishError && ["unauthenticated", "access_denied"].includes(error.code);
    if (!(error instanceof HoopishError) || error.shape.retryable || refusesMe) throw error;
    throw contradiction(`the server does not show ${what}: ${error.message}`, error);
  }
}

interface Seen {
  readonly pinned: Pin | undefined;
  readonly shown: string | undefined;
  readonly at: string;
}

/** Both signed statements are kept: together they prove what the log has done, and one of them the server may lose. */
async function complaint(error: HoopishError, file: PinFile, { shown, at, ...seen }: Seen): Promise<HoopishError> {
  const { message } = error;
  const pinned = seen.pinned ?? (await file.read());
  if (pinned === undefined) {
    const hint = "tell internal audit; where you have the log's key from elsewhere, hoopish audit pin --key VKEY";
    return new HoopishError("log_inconsistent", message, { hint, cause: error });
  }
  const path = await file.keepConflict({ found: message, at, pinned, ...(shown !== undefined && { shown }) });
  const hint =
    `keep ${path}, which holds both checkpoints, and give it to internal audit; nothing is sent to this server until ` +
    "they agree: hoopish audit pin --key VKEY for a new key, hoopish audit pin --forget to begin anew";
  return new HoopishError("log_inconsistent", `THE EVIDENCE LOG CONTRADICTS ITSELF: ${message}`, {
    hint,
    cause: error,
  });
}

function tellFirstUse({ output }: Context, { server, vkey, trust }: Pin): void {
  if (trust === "given") return;
  output.note(`The log of ${server} is watched from now on. Its key, to compare with internal audit: ${vkey}`);
}
