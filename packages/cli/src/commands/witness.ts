import { isIP } from "node:net";
import {
  cosigner,
  formatLogKey,
  HoopishError,
  NoteError,
  type NoteVerifier,
  newLogKey,
  parseLogKey,
  parseVkey,
} from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { Desk } from "../witness/desk.ts";
import { type WitnessEvent, witnessLines } from "../witness/events.ts";
import { openHttpFront } from "../witness/http-front.ts";
import { createPrivateFile, readPrivateFile } from "../witness/private-file.ts";
import { StateFile } from "../witness/state-file.ts";
import { lockState } from "../witness/state-lock.ts";
import { Witness } from "../witness/witness.ts";

export interface WitnessFiles {
  readonly key: string;
  readonly state: string;
}

export interface WitnessOptions extends WitnessFiles {
  readonly listen: string;
  /** Verifier keys; a log's origin is its key's name. */
  readonly log: readonly string[];
}

/** Makes the witness's key and its empty memory, and prints the verifier key for the logs' operators. */
export async function initWitness(context: Context, options: WitnessFiles & { readonly name: string }): Promise<void> {
  const key = newLogKey();
  const vkey = asUsage(`"${options.name}" is no name for a key`, "bank.example/audit: no spaces, no plus sign", () => {
    return cosigner(options.name, key, () => 0).vkey;
  });
  createPrivateFile(options.key, formatLogKey(key));
  StateFile.create(options.state, vkey);
  context.output.show({ vkey, key: options.key, state: options.state }, (safe) => {
    context.output.note(`The key is in ${safe.key}, the witness's memory in ${safe.state}; keep both to this machine.`);
    context.output.note("Give this verifier key to the operators of the logs, for `witness` under evidence.anchors:");
    return [safe.vkey];
  });
}

/** Cosigns what consistent checkpoints the logs submit, until a signal. */
export async function runWitness(context: Context, options: WitnessOptions): Promise<void> {
  const { world, output, signal } = context;
  const { host, port } = parseListen(options.listen);
  const logs = readLogs(options.log);
  const unlock = lockState(options.state);
  try {
    const state = StateFile.open(options.state, world.uid);
    const signer = cosigner(nameOf(state.vkey), readKey(options.key, world.uid), () => world.now() / 1_000);
    if (signer.vkey !== state.vkey) {
      throw new HoopishError("configuration", `${options.key} is not the key whose memory ${options.state} is`, {
        hint: "give the files that one `hoopish witness init` has made",
      });
    }
    const tell = (event: WitnessEvent): void => output.event(event, witnessLines);
    const desk = new Desk(new Witness(signer, logs, state), world.now, tell, `${options.state}.findings.jsonl`);
    const front = await openHttpFront(desk, host, port);
    const watched = [...logs.keys()].map((origin) => ({ origin, size: state.get(origin)?.size ?? 0 }));
    tell({ event: "ready", url: front.url, vkey: signer.vkey, logs: watched });
    if (!signal.aborted)
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    await front.close();
    desk.close();
    tell({ event: "closed" });
  } finally {
    unlock();
  }
}

function readLogs(vkeys: readonly string[]): Map<string, NoteVerifier[]> {
  const logs = new Map<string, NoteVerifier[]>();
  for (const vkey of vkeys) {
    const hint = "the log's verifier key, such as gateway.bank.example/hoopish+0b1c2d3e+AQ…";
    const verifier = asUsage(`"${vkey}" is no log's verifier key`, hint, () => parseVkey(vkey));
    if (isCosignatureKey(verifier)) {
      throw new HoopishError("usage", `"${vkey}" is a witness's key, not a log's`, { hint });
    }
    logs.set(verifier.name, [...(logs.get(verifier.name) ?? []), verifier]);
  }
  return logs;
}

/** Type 0x04 of C2SP signed-note. */
function isCosignatureKey({ name, vkey }: NoteVerifier): boolean {
  return Buffer.from(vkey.slice(name.length + 10), "base64")[0] === 0x04;
}

const nameOf = (vkey: string): string => vkey.slice(0, vkey.indexOf("+"));

function readKey(path: string, uid: number | undefined): ReturnType<typeof parseLogKey> {
  const pem = readPrivateFile(path, uid, true);
  if (pem === undefined) {
    throw new HoopishError("configuration", `there is no key at ${path}`, { hint: "hoopish witness init makes one" });
  }
  try {
    return parseLogKey(pem);
  } catch (cause) {
    throw new HoopishError("configuration", `${path} holds no Ed25519 private key (PKCS #8, PEM)`, { cause });
  }
}

function parseListen(text: string): { readonly host: string; readonly port: number } {
  const [, six, four, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([\d.]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = six ?? four ?? "";
  const port = Number(digits);
  if (isIP(host) === (six === undefined ? 4 : 6) && port <= 65_535) return { host, port };
  throw new HoopishError("usage", `"${text}" is not an address and a port`, { hint: "--listen 127.0.0.1:8460" });
}

function asUsage<T>(message: string, hint: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    if (cause instanceof NoteError) throw new HoopishError("usage", message, { hint, cause });
    throw cause;
  }
}
