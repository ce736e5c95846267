import { createHash } from "node:crypto";
import { HoopishError } from "@hoopish/protocol";
import type { Settings } from "../config/settings.ts";

/** Below the ports that systems hand out by themselves (Linux from 32768, Windows and macOS from 49152). */
const FIRST = 20_000;
const COUNT = 12_000;

/**
 * The local port of each name: `--port N` gives N, N+1, … in the order of the names, `--port 0` any free ones. Without
 * it a connection has one port for ever, derived from server and name and remembered, so that notebooks and settings of
 * other programs stay right.
 */
export function choosePorts(
  names: readonly string[],
  first: number | undefined,
  server: string,
  settings: Settings,
): readonly number[] {
  if (first === 0) return names.map(() => 0);
  if (first !== undefined) {
    if (first + names.length - 1 > 65_535) {
      throw new HoopishError("usage", `${names.length} ports from ${first} on are more than there are`, {
        hint: "a lower --port",
      });
    }
    return names.map((_, at) => first + at);
  }
  return names.map((name) => rememberedPort(`${server} ${name}`, settings));
}

function rememberedPort(key: string, settings: Settings): number {
  const { ports = {} } = settings.read();
  const known = ports[key];
  if (known !== undefined) return known;
  const taken = new Set(Object.values(ports));
  let offset = createHash("sha256").update(key).digest().readUInt32BE(0) % COUNT;
  while (taken.has(FIRST + offset)) offset = (offset + 1) % COUNT;
  const port = FIRST + offset;
  settings.update((now) => ({ ...now, ports: { ...now.ports, [key]: port } }));
  return port;
}
