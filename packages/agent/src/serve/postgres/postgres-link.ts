import type { Socket } from "node:net";
import { type PostgresOpen, type StreamError, TunnelErrorCode } from "@hoopish/protocol";
import { terminate } from "@hoopish/protocol/postgres";
import type { StreamHandler, StreamResetError, TunnelStream } from "@hoopish/tunnel";
import type { AppliedCredential } from "../../credential/credential.ts";
import { codeOf } from "../../error-code.ts";
import type { Carried, CarriedEvents, Outcome } from "../carried.ts";
import { type Database, DatabaseError, openDatabase } from "./open-database.ts";
import { cancelQuery, type PostgresTarget } from "./postgres-target.ts";

/** Time for Terminate to leave. */
const FAREWELL_MS = 1_000;

/** One connection to a database: a stream of the tunnel on one side, a socket on the other, and nothing read in between. */
export class PostgresLink implements StreamHandler, Carried {
  readonly open: PostgresOpen;
  readonly startedMs: number = performance.now();
  place = -1;
  readonly #stream: TunnelStream;
  readonly #target: PostgresTarget;
  readonly #events: CarriedEvents;
  readonly #stopped = new AbortController();
  #database: Database | undefined;
  #over = false;

  constructor(stream: TunnelStream, open: PostgresOpen, target: PostgresTarget, events: CarriedEvents) {
    this.#stream = stream;
    this.open = open;
    this.#target = target;
    this.#events = events;
    target.links.set(open.link, this);
    this.#begin().catch((error: unknown) => this.#refuse(error));
  }

  get facts(): Carried["facts"] {
    return { connection: this.open.connection };
  }

  /** What runs on it is to stop. */
  cancelQuery(): void {
    if (this.#database === undefined || this.#over) return;
    // Where it cannot be asked, the query's own limits end it.
    cancelQuery(this.#target.config, this.#database).catch(() => undefined);
  }

  async #begin(): Promise<void> {
    const late = setTimeout(() => this.#stopped.abort(new Error("too late")), this.open.timeoutMs);
    try {
      const applied: AppliedCredential | undefined = await this.#target.credential?.current();
      const { user = "postgres", password = "" } = applied ?? {};
      const database = await openDatabase(this.#target.config, { user, password }, this.open, this.#stopped.signal);
      if (this.#over) {
        database.socket.destroy();
        return;
      }
      this.#database = database;
      this.#join(database);
    } finally {
      clearTimeout(late);
    }
  }

  #join({ socket, parameters, database, rest }: Database): void {
    this.#stream.sendHeaders({ parameters, database });
    if (rest.length > 0) this.#stream.write(rest);
    socket.on("data", (chunk: Buffer) => {
      if (!this.#stream.write(chunk)) socket.pause();
    });
    socket.on("end", () => this.#ended({ kind: "answered", status: 200 }));
    socket.on("error", (error) => this.#broke(codeOf(error)));
    socket.on("close", () => this.#broke("closed"));
    socket.resume();
  }

  // --- from the server, through the tunnel ---

  onData(chunk: Buffer): void {
    const socket = this.#database?.socket;
    if (this.#over || socket === undefined) return;
    const consumed = (): void => {
      const { state } = this.#stream;
      if (state === "open" || state === "half-closed-local") this.#stream.consumed(chunk.length);
    };
    // The credit goes back when the database takes the bytes: one that does not read stops its client.
    if (socket.writableNeedDrain) socket.write(chunk, consumed);
    else {
      socket.write(chunk);
      consumed();
    }
  }

  onEnd(): void {
    this.#leave();
    this.#finish({ kind: "answered", status: 200 });
  }

  onReset(error: StreamResetError): void {
    this.#leave();
    this.#finish({ kind: "cancelled", detail: error.message });
  }

  onDrain(): void {
    this.#database?.socket.resume();
  }

  abort(error: StreamError): void {
    if (this.#over) return;
    this.#leave();
    if (this.#database === undefined) this.#stream.sendHeaders({ error }, { endStream: true });
    else this.#stream.reset(TunnelErrorCode.INTERNAL_ERROR, `${error.code}: ${error.message}`);
    this.#finish({ kind: "failed", error, detail: error.code });
  }

  // --- the end ---

  #refuse(thrown: unknown): void {
    if (this.#over) return;
    const known = thrown instanceof DatabaseError ? thrown : undefined;
    if (known?.refused === true) this.#target.credential?.doubt();
    const error = known?.error ?? NO_CREDENTIAL;
    const { sqlstate } = known ?? {};
    if (this.#stream.state !== "closed") {
      this.#stream.sendHeaders({ error, ...(sqlstate === undefined ? {} : { sqlstate }) }, { endStream: true });
    }
    this.#finish({ kind: "failed", error, detail: sqlstate ?? error.code });
  }

  #ended(outcome: Outcome): void {
    if (this.#over) return;
    this.#stream.end();
    this.#leave();
    this.#finish(outcome);
  }

  #broke(detail: string): void {
    if (this.#over) return;
    this.#stream.reset(TunnelErrorCode.INTERNAL_ERROR, `${BROKEN.code}: ${BROKEN.message}`);
    this.#finish({ kind: "failed", error: BROKEN, detail });
  }

  #leave(): void {
    this.#stopped.abort(new Error("over"));
    const socket: Socket | undefined = this.#database?.socket;
    if (socket === undefined || socket.destroyed) return;
    socket.end(terminate());
    socket.resume();
    setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
  }

  #finish(outcome: Outcome): void {
    if (this.#over) return;
    this.#over = true;
    this.#target.links.delete(this.open.link);
    this.#target.calls -= 1;
    this.#events.over(this, outcome);
  }
}

const NO_CREDENTIAL: StreamError = {
  code: "upstream_failed",
  message: "the agent has no credential for this connection",
};
const BROKEN: StreamError = { code: "upstream_failed", message: "the connection to the database broke" };
