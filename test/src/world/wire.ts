import { connect, type Socket } from "node:net";

/** What came back on a raw TCP connection, and how it ended. */
export interface WireResult {
  readonly text: string;
  /** `end`: the peer closed in order (FIN). `reset`: it broke the connection. `open`: it was still open when we left. */
  readonly ended: "end" | "reset" | "open";
}

/** Sends raw bytes to a local port, without any HTTP client that would mend them. */
export function speak(
  base: string,
  parts: readonly (string | Buffer)[],
  options: { readonly partDelayMs?: number; readonly waitMs?: number } = {},
): Promise<WireResult> {
  const { hostname, port } = new URL(base);
  return new Promise((resolve) => {
    const socket: Socket = connect(Number(port), hostname);
    const chunks: Buffer[] = [];
    let settled = false;
    const settle = (ended: WireResult["ended"]): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      resolve({ text: Buffer.concat(chunks).toString("latin1"), ended });
      socket.destroy();
    };
    const timer = setTimeout(() => settle("open"), options.waitMs ?? 3_000);
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("end", () => settle("end"));
    socket.on("error", () => settle("reset"));
    socket.on("close", () => settle("reset"));
    void (async () => {
      for (const part of parts) {
        if (socket.destroyed) return;
        socket.write(part);
        if (options.partDelayMs !== undefined) await new Promise((next) => setTimeout(next, options.partDelayMs));
      }
    })();
  });
}

/** Status codes of all answers in a raw text, in order. */
export const statuses = (text: string): number[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]));

/** A valid request head for this local port. */
export const head = (base: string, requestLine: string, fields: readonly string[] = []): string =>
  `${[requestLine, `Host: ${new URL(base).host}`, ...fields].join("\r\n")}\r\n\r\n`;
