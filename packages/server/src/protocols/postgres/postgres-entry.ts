import { randomBytes } from "node:crypto";
import type { RelayPorts } from "../../relay/ports.ts";
import type { Session } from "../../sessions/session.ts";
import { cutWithSession, type StreamEntry } from "../line.ts";
import { type CancelKeys, PostgresLine } from "./postgres-line.ts";

/** Process id and secret key, as a client gets them. */
const KEY_BYTES = 8;

/** PostgreSQL's protocol 3.0 on tunnel streams. */
export function createPostgresEntry(ports: RelayPorts, report: (error: unknown) => void): StreamEntry {
  const lines = new Set<PostgresLine>();
  const keys = new Keys();
  return {
    accept(stream, session) {
      stream.on("error", () => stream.destroy());
      const line = new PostgresLine(stream, session, ports, keys);
      lines.add(line);
      stream.once("close", () => lines.delete(line));
      try {
        line.start();
      } catch (error) {
        report(error);
        stream.destroy();
      }
      cutWithSession(stream, session);
    },
    // A connection is asked for the next statement when it has the answer to the last: then the list refuses it.
    drain: () => undefined,
    close() {
      for (const line of lines) line.end();
    },
  };
}

/** A key is good for its own session alone: it is known to that session's client and to nobody else. */
class Keys implements CancelKeys {
  readonly #lines = new Map<string, PostgresLine>();
  readonly #keys = new Map<PostgresLine, string>();

  add(line: PostgresLine): Buffer {
    const key = randomBytes(KEY_BYTES);
    this.#lines.set(name(line.session, key), line);
    this.#keys.set(line, name(line.session, key));
    return key;
  }

  remove(line: PostgresLine): void {
    this.#lines.delete(this.#keys.get(line) ?? "");
    this.#keys.delete(line);
  }

  cancel(session: Session, key: Buffer): void {
    this.#lines.get(name(session, key))?.cancel();
  }
}

const name = (session: Session, key: Buffer): string => `${session.id}:${key.toString("hex")}`;
