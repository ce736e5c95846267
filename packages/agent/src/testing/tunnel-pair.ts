import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { attachUpgrade, dialTunnel, type Tunnel } from "@hoopish/tunnel";
import type { ConnectionConfig, CredentialConfig } from "../config/config.ts";
import { parseTarget } from "../config/target.ts";
import type { Log } from "../log.ts";
import { createServing, type Serving } from "../serve/serve.ts";

export interface LogLine {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** A log that keeps what it is told. */
export function memoryLog(): Log & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: string) => (fields: object, message: string) => {
    lines.push({ level, fields: { ...fields }, message });
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    isLevelEnabled: () => true,
    lines,
  };
}

export const bearer = (value: string): CredentialConfig => ({
  place: { kind: "header", name: "authorization" },
  source: { kind: "template", parts: [`Bearer ${value}`] },
});

/** A connection named `model` with the defaults of the configuration file. */
export function connectionTo(target: string, over: Partial<ConnectionConfig> = {}): ConnectionConfig {
  const parsed = parseTarget(target);
  if (typeof parsed === "string") throw new TypeError(parsed);
  return {
    name: "model",
    protocol: parsed.protocol,
    target: parsed,
    tls: undefined,
    credential: undefined,
    pool: { connections: 64, keepAliveMs: 4_000 },
    maxCalls: 256,
    connectTimeoutMs: 5_000,
    headersTimeoutMs: 0,
    ...over,
  };
}

/** An agent's serving side at one end of a real tunnel, the server's end in the test's hand. */
export interface TunnelPair {
  readonly server: Tunnel;
  readonly agent: Tunnel;
  readonly serving: Serving;
  readonly log: ReturnType<typeof memoryLog>;
  close(): Promise<void>;
}

export async function openPair(connections: readonly ConnectionConfig[]): Promise<TunnelPair> {
  const log = memoryLog();
  const serving = createServing({ connections, env: process.env, log });
  const http = createServer();
  const { promise: accepted, resolve } = Promise.withResolvers<Tunnel>();
  const upgrades = attachUpgrade(http, { "/": () => ({ accept: {}, onTunnel: resolve }) });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const agent = await dialTunnel(`ws://127.0.0.1:${(http.address() as AddressInfo).port}/`, {
    onStream: serving.onStream,
    onHandlerError: serving.onHandlerError,
  });
  return {
    server: await accepted,
    agent,
    serving,
    log,
    async close() {
      await serving.close(0);
      agent.terminate();
      upgrades.close();
      http.close();
      http.closeAllConnections();
      await agent.closed;
    },
  };
}
