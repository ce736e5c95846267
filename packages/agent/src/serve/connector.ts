import { readFileSync, statSync } from "node:fs";
import { buildConnector } from "undici";
import type { ConnectionConfig, TargetTls } from "../config/config.ts";

/**
 * How sockets to a target are made. Only HTTP/1.1 is offered. Certificates are read again when a file has changed, so
 * that a short-lived client certificate is followed without a restart; connections that stand keep what they began with.
 */
export function createConnector({ connectTimeoutMs, tls }: ConnectionConfig): buildConnector.connector {
  const base = { timeout: connectTimeoutMs, allowH2: false };
  if (tls === undefined) return buildConnector(base);
  let known: { readonly marks: string; readonly connect: buildConnector.connector } | undefined;
  return (options, callback) => {
    try {
      const marks = marksOf(tls);
      if (known?.marks !== marks) known = { marks, connect: buildConnector({ ...base, ...readTls(tls) }) };
    } catch (error) {
      process.nextTick(callback, error as Error, null);
      return;
    }
    known.connect(options, callback);
  };
}

function files({ caFile, certFile, keyFile }: TargetTls): [key: "ca" | "cert" | "key", file: string][] {
  const all = { ca: caFile, cert: certFile, key: keyFile };
  return Object.entries(all).filter((entry): entry is ["ca" | "cert" | "key", string] => entry[1] !== undefined);
}

function marksOf(tls: TargetTls): string {
  return files(tls)
    .map(([, file]) => {
      const { ino, size, mtimeMs, ctimeMs } = statSync(file);
      return `${ino}:${size}:${mtimeMs}:${ctimeMs}`;
    })
    .join();
}

/** Read anew each time: a short-lived certificate is followed without a restart. @throws when a file cannot be read */
export function readTls(tls: TargetTls): { ca?: Buffer; cert?: Buffer; key?: Buffer } {
  return Object.fromEntries(files(tls).map(([key, file]) => [key, readFileSync(file)]));
}
