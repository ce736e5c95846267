import { existsSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { HoopishError } from "@hoopish/protocol";
import type { ConnectionConfig } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { describeConnection } from "../describe/describe-connection.ts";
import type { Description } from "../describe/gather.ts";
import type { World } from "./world.ts";

export interface DescribeOptions {
  readonly config: string;
  readonly json: boolean;
  /** "-": standard output. */
  readonly out: string;
  readonly force: boolean;
}

const DEADLINE_MS = 30_000;
const STDOUT = "-";

/**
 * Asks a gRPC target once what its services are, and pins the answer in a file: at work the server reads the file, so that no model
 * server can change what the gate sees.
 * @throws HoopishError configuration, not_found, usage, conflict (the file exists), or why the target could not be described
 */
export async function describe(world: World, connection: string, options: DescribeOptions): Promise<void> {
  const { out, force, json } = options;
  const { connections } = loadConfig(options.config, world.env);
  const config = grpcConnection(connections, connection);
  if (out !== STDOUT && !force && existsSync(out)) throw exists(out);
  const { env, interrupted: signal } = world;
  const description = await describeConnection(config, { env, signal, deadlineMs: DEADLINE_MS });
  if (description.services.length === 0) {
    throw new HoopishError("not_found", `connection ${connection}: the model server has no services of its own`);
  }
  if (out === STDOUT) await new Promise((written) => world.stdout.write(description.set, written));
  else save(out, description.set, force);
  // Beside the file itself standard output has room for nothing.
  if (!json) world.stderr.write(summary(connection, description, out));
  else {
    const fact = { connection, file: out, ...counts(description) };
    (out === STDOUT ? world.stderr : world.stdout).write(`${JSON.stringify(fact)}\n`);
  }
}

function grpcConnection(connections: readonly ConnectionConfig[], name: string): ConnectionConfig {
  const config = connections.find((one) => one.name === name);
  if (config === undefined) {
    const hint = `one of ${connections.map((one) => one.name).join(", ")}`;
    throw new HoopishError("not_found", `there is no connection ${name}`, { hint });
  }
  if (config.protocol === "grpc") return config;
  throw new HoopishError("usage", `connection ${name} is one of ${config.protocol}: only gRPC has descriptors`);
}

function save(file: string, set: Buffer, force: boolean): void {
  try {
    writeFileSync(file, set, { flag: force ? "w" : "wx", mode: 0o644 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") throw exists(file);
    throw new HoopishError("configuration", `${file} cannot be written (${code ?? "unknown error"})`, { cause: error });
  }
}

const exists = (file: string): HoopishError =>
  new HoopishError("conflict", `${file} exists and is left as it is`, { hint: "name another, or --force" });

const counts = ({ set, files, services }: Description): object => ({ bytes: set.length, files, services });

function summary(connection: string, { files, services }: Description, out: string): string {
  const file = out === STDOUT ? "FILE" : basename(out);
  const written = /^\w[\w.-]*$/.test(file) ? file : JSON.stringify(file);
  return [
    `${connection}: ${many(services.length, "service")} in ${many(files, "file")}`,
    ...services.map(({ name, methods }) => `  ${name}: ${many(methods, "method")}`),
    `look whether this is what you expect; then copy the file beside server.yaml, and add to connection ${connection} there:`,
    `    descriptors: [${written}]`,
    "",
  ].join("\n");
}

const many = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;
