import { cancelRequest } from "@hoopish/protocol/postgres";
import type { ConnectionConfig } from "../../config/config.ts";
import { createCredential } from "../../credential/credential.ts";
import type { TargetState } from "../carried.ts";
import { connectSocket } from "./open-database.ts";

/** What can be asked to stop what it does. */
export interface CancellableLink {
  cancelQuery(): void;
}

/** A PostgreSQL server, and the connections to it by the name that the server has given them. */
export interface PostgresTarget extends TargetState {
  readonly links: Map<string, CancellableLink>;
}

export function createPostgresTarget(
  config: ConnectionConfig,
  env: Readonly<Record<string, string | undefined>>,
): PostgresTarget {
  return {
    config,
    credential: config.credential && createCredential(config.credential, env),
    links: new Map(),
    calls: 0,
    close: () => Promise.resolve(),
  };
}

/** For a request to cancel, which is a connection of its own. */
const CANCEL_MS = 5_000;

/** Asks the database to cancel what a connection does; nobody hears whether it did. */
export async function cancelQuery(config: ConnectionConfig, { pid, key }: { pid: number; key: Buffer }): Promise<void> {
  const socket = await connectSocket(config, AbortSignal.timeout(CANCEL_MS));
  socket.on("error", () => socket.destroy());
  socket.setTimeout(CANCEL_MS, () => socket.destroy());
  socket.end(cancelRequest(pid, key));
  // The database closes when it has dealt with it.
  socket.resume();
}
