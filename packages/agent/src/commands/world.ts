import type { Readable, Writable } from "node:stream";

/** Everything that a command takes from the process. Only the composition root has the real one. */
export interface World {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Aborts at the first SIGINT or SIGTERM. */
  readonly interrupted: AbortSignal;
}

/** Says a fact: a sentence for people, or one JSON object a line. */
export function say(world: World, json: boolean, sentence: string, fact: object): void {
  world.stdout.write(json ? `${JSON.stringify(fact)}\n` : `${sentence}\n`);
}
