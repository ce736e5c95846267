/**
 * The thread that has the database. It imports nothing of other packages at run time, so that it starts from source
 * and from dist alike.
 */
import { parentPort, workerData } from "node:worker_threads";
import { type DatabaseOptions, openReader, openWriter } from "./database.ts";
import { Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

export interface Request {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

/** An error as it crosses threads: class and prototype are lost on the way. */
export interface WireError {
  readonly message: string;
  readonly code: string | undefined;
  readonly errcode: number | undefined;
}

export type Reply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: WireError };

const options = workerData as DatabaseOptions;
const port = parentPort;
if (port === null) throw new Error("this file is a worker");

const wireError = (thrown: unknown): WireError => {
  const { message, code, errcode } = thrown as { message?: string; code?: string; errcode?: number };
  return { message: message ?? String(thrown), code, errcode };
};

try {
  const open = options.role === "writer" ? openWriter(options) : openReader(options);
  const reader = new Reader(open.db);
  const writer = options.role === "writer" ? new Writer(open.db) : undefined;
  const targets = { reader, writer } as unknown as Record<
    string,
    Record<string, (...args: readonly unknown[]) => unknown>
  >;
  port.on("message", ({ id, method, args }: Request) => {
    if (method === "close") {
      open.close();
      port.postMessage({ id, value: undefined } satisfies Reply);
      port.close();
      return;
    }
    const [target, name] = method.split(".") as [string, string];
    try {
      const value = targets[target]?.[name]?.(...args);
      port.postMessage({ id, value } satisfies Reply);
    } catch (thrown) {
      port.postMessage({ id, error: wireError(thrown) } satisfies Reply);
    }
  });
  port.postMessage({ id: 0, value: reader.size() } satisfies Reply);
} catch (thrown) {
  port.postMessage({ id: 0, error: wireError(thrown) } satisfies Reply);
  port.close();
}
