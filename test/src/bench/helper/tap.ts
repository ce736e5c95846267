import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";

/**
 * A TCP hop right before the model server, in the same process as the client that measures: it stamps each event when
 * the model server has sent it, with the clock that stamps its arrival. All paths end in it, direct too, so what it costs
 * is in all of them. For one stream at a time.
 */

const NEWLINE = 10;
let targetPort = 0;
let stamps: number[] = [];
let endsWithNewline = false;

/** Forgets the former stream. */
export function rewind(): void {
  stamps = [];
  endsWithNewline = false;
}

/** When each event of the stream since {@link rewind} left the model server; performance.now(). */
export const stamped = (): readonly number[] => stamps;

/** Counts ends of events (an empty line) in bytes that come in any pieces. */
export function countEvents(chunk: Buffer, afterNewline: boolean): { events: number; afterNewline: boolean } {
  let events = 0;
  let last = afterNewline;
  for (let at = 0; at < chunk.length; at++) {
    const newline = chunk[at] === NEWLINE;
    // "\n\n" ends an event; the third newline in a row begins anew. HTTP's own lines end in "\r\n" and never match.
    if (newline && last) events += 1;
    last = newline && !last;
  }
  return { events, afterNewline: last };
}

export async function tapListen(): Promise<{ port: number }> {
  const server = createServer({ noDelay: true }, (client) => {
    const model = connect({ port: targetPort, host: "127.0.0.1", noDelay: true });
    client.on("data", (chunk) => void model.write(chunk));
    model.on("data", (chunk) => {
      const now = performance.now();
      const seen = countEvents(chunk, endsWithNewline);
      endsWithNewline = seen.afterNewline;
      for (let event = 0; event < seen.events; event++) stamps.push(now);
      client.write(chunk);
    });
    client.on("close", () => model.destroy());
    model.on("close", () => client.destroy());
    client.on("error", () => undefined);
    model.on("error", () => undefined);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port };
}

export async function tapTarget({ port }: { readonly port: number }): Promise<void> {
  targetPort = port;
}
