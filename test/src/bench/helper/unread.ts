import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { hugePath } from "./bulk.ts";
import type { Endpoint } from "./jobs.ts";

export interface UnreadAsk extends Endpoint {
  readonly bytes: number;
}
export interface Unread {
  /** What the system took from the network all the same: socket buffers, and the answer's head. */
  readonly bytesTaken: number;
}

let asked: ClientRequest | undefined;

/** Resolves when the answer has begun. */
export async function unreadOpen({ origin, headers, bytes }: UnreadAsk): Promise<void> {
  asked = request(origin + hugePath(bytes), { headers, agent: false });
  asked.end();
  // Nobody listens for data, so Node takes one buffer from the socket and then no more.
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`the answer that nobody reads has status ${response.statusCode}`);
}

export async function unreadClose(): Promise<Unread> {
  const bytesTaken = asked?.socket?.bytesRead ?? 0;
  asked?.on("error", () => undefined);
  asked?.destroy();
  return { bytesTaken };
}
