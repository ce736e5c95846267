import { createHash, type Hash } from "node:crypto";
import type { OpenSpool, Spool } from "../spool.ts";
import type { LogLine } from "./entry.ts";
import type { OcsfSource } from "./ocsf/event.ts";
import { VIEW_NAMES, type ViewName, Views } from "./views.ts";

/** A view that is complete: a file of a bundle. */
export interface ViewFile {
  /** `views/calls.csv` */
  readonly path: string;
  readonly bytes: number;
  /** Of the content, hex. */
  readonly sha256: string;
  read(): AsyncIterable<Buffer>;
}

interface Sink {
  readonly name: ViewName;
  readonly spool: Spool;
  readonly hash: Hash;
}

/** All views of one pass over the log as files, with memory for one batch of records. Whoever opens it closes it. */
export class ViewFiles {
  readonly #views: Views;
  readonly #sinks: readonly Sink[];

  private constructor(sinks: readonly Sink[], source: OcsfSource) {
    this.#sinks = sinks;
    this.#views = new Views(
      sinks.map(({ name }) => name),
      source,
    );
  }

  static async open(
    openSpool: OpenSpool,
    source: OcsfSource,
    names: readonly ViewName[] = VIEW_NAMES,
  ): Promise<ViewFiles> {
    const sinks: Sink[] = [];
    try {
      for (const name of names) sinks.push({ name, spool: await openSpool(), hash: createHash("sha256") });
    } catch (error) {
      await closeAll(sinks);
      throw error;
    }
    return new ViewFiles(sinks, source);
  }

  /** The next records, in the log's order; a batch is best some hundred kilobytes. One call at a time. */
  async add(lines: Iterable<LogLine>): Promise<void> {
    for (const line of lines) this.#views.push(line);
    await this.#write();
  }

  /** There are no more records. The files can be read until this is closed. */
  async finish(): Promise<readonly ViewFile[]> {
    this.#views.end();
    await this.#write();
    return this.#sinks.map(({ name, spool, hash }) => ({
      path: `views/${name}`,
      bytes: spool.size,
      sha256: hash.digest("hex"),
      read: () => spool.read(),
    }));
  }

  close(): Promise<void> {
    return closeAll(this.#sinks);
  }

  async #write(): Promise<void> {
    for (const { name, spool, hash } of this.#sinks) {
      const bytes = this.#views.take(name);
      if (bytes.length === 0) continue;
      hash.update(bytes);
      await spool.append(bytes);
    }
  }
}

async function closeAll(sinks: readonly Sink[]): Promise<void> {
  await Promise.all(sinks.map(({ spool }) => spool.close()));
}
