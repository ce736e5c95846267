import { statSync } from "node:fs";
import { resolve } from "node:path";
import type {
  AgentConfig,
  AgentIdentity,
  ConnectionConfig,
  CredentialConfig,
  CredentialPlace,
  CredentialSourceConfig,
} from "./config.ts";
import type { Path } from "./document.ts";
import { parseTemplate, readTextFile, type Surroundings } from "./expand.ts";
import type { AgentFile, ConnectionFile, CredentialFile, IdentityFile } from "./schema.ts";

/** What building needs: where relative names start, and a way to note a mistake and go on to the next. */
export interface Building {
  readonly around: Surroundings;
  /** The result of `act`; when it throws, its sentence is noted at `path` and `otherwise` stands in. */
  attempt<T>(path: Path, otherwise: T, act: () => T): T;
}

export function buildIdentity(file: IdentityFile, building: Building): AgentIdentity {
  const { server, serverCa, name, keyFile } = file;
  const { folder } = building.around;
  const ca = serverCa && building.attempt(["serverCa"], "", () => readPem(resolve(folder, serverCa)));
  return { server, serverCa: ca, name, keyFile: resolve(folder, keyFile) };
}

/** The file as written → the configuration: names of files made absolute, and each file looked at once. */
export function buildConfig(file: AgentFile, building: Building): AgentConfig {
  return {
    ...buildIdentity(file, building),
    connections: file.connections.map((it, index) => buildConnection(it, ["connections", index], building)),
    drainMs: file.drain,
    logLevel: file.logLevel,
  };
}

function buildConnection(it: ConnectionFile, path: Path, building: Building): ConnectionConfig {
  const pemFile = (key: "ca" | "cert" | "key"): string | undefined => {
    const written = it.tls?.[key];
    if (written === undefined) return undefined;
    const file = resolve(building.around.folder, written);
    building.attempt([...path, "tls", key], "", () => readPem(file));
    return file;
  };
  const tls = it.tls && { caFile: pemFile("ca"), certFile: pemFile("cert"), keyFile: pemFile("key") };
  return {
    name: it.name,
    protocol: it.target.protocol,
    target: it.target,
    tls,
    credential: it.credential && buildCredential(it.credential, [...path, "credential"], building),
    pool: { connections: it.pool.connections, keepAliveMs: it.pool.keepAlive },
    maxCalls: it.maxCalls,
    connectTimeoutMs: it.connectTimeout,
    headersTimeoutMs: it.headersTimeout,
  };
}

function buildCredential(it: CredentialFile, path: Path, building: Building): CredentialConfig {
  return { place: place(it), source: source(it, path, building) };
}

function place(it: CredentialFile): CredentialPlace {
  if (it.header !== undefined) return { kind: "header", name: it.header.toLowerCase() };
  if (it.postgres !== undefined) return { kind: "postgres", user: it.postgres };
  if (it.basic !== undefined) return { kind: "basic", user: it.basic };
  return { kind: "query", name: it.query ?? "" };
}

function source(it: CredentialFile, path: Path, building: Building): CredentialSourceConfig {
  const { around } = building;
  const prefix = it.prefix ?? "";
  if (it.command !== undefined) {
    const { refresh = 300_000, timeout = 10_000 } = it;
    return { kind: "command", argv: it.command, prefix, refreshMs: refresh, timeoutMs: timeout };
  }
  if (it.file !== undefined) {
    const file = resolve(around.folder, it.file);
    building.attempt([...path, "file"], "", () => readTextFile(file));
    return { kind: "template", parts: prefix === "" ? [{ file }] : [prefix, { file }] };
  }
  return building.attempt([...path, "value"], { kind: "template", parts: [] }, () => {
    const parts = parseTemplate(it.value ?? "", around);
    for (const part of parts) if (typeof part !== "string") readTextFile(part.file);
    return { kind: "template", parts };
  });
}

/** @throws Error naming the file */
function readPem(file: string): string {
  const pem = readTextFile(file);
  if (!statSync(file).isFile() || !pem.includes("-----BEGIN ")) throw new Error(`${file} holds no PEM`);
  return `${pem}\n`;
}
