import { CLIENT_TUNNEL_PATH } from "@hoopish/protocol";
import { dialTunnel, type Tunnel } from "@hoopish/tunnel";

export interface SessionsAsk {
  readonly serverUrl: string;
  readonly token: string;
  readonly connection: string;
  readonly count: number;
}
export interface SessionsDone {
  readonly opened: number;
  readonly seconds: number;
  /** Why the first that failed did. */
  readonly failure?: string;
}

/** So many at one time, as people who come to work do not all press the key in the same millisecond. */
const AT_ONCE = 16;
const tunnels: Tunnel[] = [];

/** What `hoopish connect` opens, without its process: one tunnel and one session each. */
export async function sessionsOpen(ask: SessionsAsk): Promise<SessionsDone> {
  const start = performance.now();
  let left = ask.count;
  let opened = 0;
  let failure: string | undefined;
  const open = async (): Promise<void> => {
    while (left-- > 0) {
      await openSession(ask).then(
        () => opened++,
        (error: unknown) => {
          failure ??= error instanceof Error ? error.message : String(error);
        },
      );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, open));
  return { opened, seconds: (performance.now() - start) / 1000, ...(failure === undefined ? {} : { failure }) };
}

async function openSession({ serverUrl, token, connection }: SessionsAsk): Promise<void> {
  const headers = { authorization: `Bearer ${token}` };
  const tunnel = await dialTunnel(new URL(CLIENT_TUNNEL_PATH, serverUrl), { headers });
  tunnels.push(tunnel);
  const ask = { ":kind": "session.open", connection, host: "bench", client: "bench/1" };
  await new Promise<void>((resolve, reject) => {
    tunnel.open(ask, {
      onHeaders: (reply) => ("session" in reply ? resolve() : reject(new Error(JSON.stringify(reply)))),
      onData: (chunk, stream) => stream.consumed(chunk.length),
      onEnd: (reply) => reject(new Error(`the session ended: ${JSON.stringify(reply)}`)),
      onReset: reject,
    });
  });
}

export async function sessionsClose(): Promise<void> {
  for (const tunnel of tunnels) tunnel.close();
  await Promise.all(tunnels.splice(0).map((tunnel) => tunnel.closed));
}
