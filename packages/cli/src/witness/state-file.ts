import { HoopishError, openCheckpoint, parseVkey, treeSizeOf } from "@hoopish/protocol";
import { z } from "zod";
import { createPrivateFile, readPrivateFile, replacePrivateFile } from "./private-file.ts";
import type { Cosigned, WitnessState } from "./witness.ts";

const stateSchema = z.strictObject({
  v: z.literal(1),
  /** Verifier key of the witness whose memory this is. */
  witness: z.string(),
  /** Origin → the newest cosigned note. */
  logs: z.record(z.string(), z.string()),
});

/**
 * The witness's memory: a JSON file, whole on disk before anything is answered. Each note in it is verified with the
 * witness's own key when it is read: a file that somebody has edited, or that is another witness's, is not used.
 */
export class StateFile implements WitnessState {
  readonly vkey: string;
  readonly #path: string;
  readonly #logs: Map<string, Cosigned>;

  private constructor(path: string, vkey: string, logs: Map<string, Cosigned>) {
    this.#path = path;
    this.vkey = vkey;
    this.#logs = logs;
  }

  /** @throws HoopishError conflict when there is one */
  static create(path: string, vkey: string): void {
    createPrivateFile(path, format(vkey, new Map()));
  }

  /**
   * A missing file is an error and never a fresh beginning: a witness that has forgotten what it signed would cosign a
   * second history.
   * @throws HoopishError configuration
   */
  static open(path: string, uid: number | undefined): StateFile {
    const text = readPrivateFile(path, uid, false);
    if (text === undefined) {
      throw new HoopishError("configuration", `there is no state at ${path}`, {
        hint: "hoopish witness init makes it; if it was lost, make a new key as well: this one may have signed more",
      });
    }
    try {
      const { witness, logs } = stateSchema.parse(JSON.parse(text));
      const verifiers = [parseVkey(witness)];
      const entries = Object.entries(logs).map(([origin, note]): [string, Cosigned] => {
        const { checkpoint } = openCheckpoint(note, verifiers);
        if (checkpoint.origin !== origin) throw new Error("a note stands under another log's name");
        return [origin, { size: treeSizeOf(checkpoint), root: checkpoint.root, note }];
      });
      return new StateFile(path, witness, new Map(entries));
    } catch (cause) {
      throw new HoopishError("configuration", `the state ${path} is not what the witness has written`, {
        hint: "put the newest copy back; if there is none, begin anew with hoopish witness init, and a new key",
        cause,
      });
    }
  }

  get(origin: string): Cosigned | undefined {
    return this.#logs.get(origin);
  }

  put(origin: string, cosigned: Cosigned): void {
    const logs = new Map(this.#logs).set(origin, cosigned);
    replacePrivateFile(this.#path, format(this.vkey, logs));
    this.#logs.set(origin, cosigned);
  }
}

function format(witness: string, logs: ReadonlyMap<string, Cosigned>): string {
  const notes = Object.fromEntries([...logs].map(([origin, { note }]) => [origin, note]));
  return `${JSON.stringify({ v: 1, witness, logs: notes }, null, 2)}\n`;
}
