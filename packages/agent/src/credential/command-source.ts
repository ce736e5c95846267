import { execFile } from "node:child_process";
import { performance } from "node:perf_hooks";
import { CredentialError, type SecretSource } from "./secret-source.ts";

export interface CommandSourceOptions {
  readonly argv: readonly string[];
  readonly prefix: string;
  readonly refreshMs: number;
  readonly timeoutMs: number;
  /** What the command sees of the environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

const MAX_OUTPUT_BYTES = 64 * 1024;
/** After a failure, and after a doubt: a model server that refuses everything must not make us fork for each call. */
const PAUSE_MS = 5_000;

/**
 * A credential that a program prints (`vault kv get …`). Run without a shell, one run at a time whoever waits, and its
 * text is used for `refreshMs`. A failure is told without the program's output, which may hold the secret.
 */
export function commandSource(options: CommandSourceOptions): SecretSource {
  let known: { readonly text: string; readonly at: number } | undefined;
  let failed: { readonly error: CredentialError; readonly at: number } | undefined;
  let running: Promise<string> | undefined;

  const start = async (): Promise<string> => {
    try {
      const text = options.prefix + (await run(options));
      known = { text, at: performance.now() };
      failed = undefined;
      return text;
    } catch (error) {
      failed = { error: error as CredentialError, at: performance.now() };
      throw error;
    } finally {
      running = undefined;
    }
  };

  return {
    read() {
      const now = performance.now();
      if (known !== undefined && now - known.at < options.refreshMs) return known.text;
      if (failed !== undefined && now - failed.at < PAUSE_MS) throw failed.error;
      running ??= start();
      return running;
    },
    doubt() {
      if (known !== undefined && performance.now() - known.at >= PAUSE_MS) known = undefined;
    },
  };
}

function run({ argv, timeoutMs, env }: CommandSourceOptions): Promise<string> {
  const [program = "", ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      { timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: MAX_OUTPUT_BYTES, env: { ...env }, windowsHide: true },
      (error, stdout) => {
        // `error` itself is not kept as a cause: it quotes the arguments and carries the output.
        if (error !== null)
          return reject(new CredentialError(`credential command ${program} ${why(error, timeoutMs)}`));
        const text = stdout.replace(/[\r\n]+$/, "");
        if (text === "") return reject(new CredentialError(`credential command ${program} printed nothing`));
        resolve(text);
      },
    );
    child.stdin?.end();
  });
}

function why(error: Error & { code?: unknown; killed?: boolean; signal?: unknown }, timeoutMs: number): string {
  if (error.code === "ENOENT") return "was not found";
  if (error.code === "EACCES") return "may not be run";
  if (error.code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER") return "printed more than 64 KiB";
  if (error.killed === true) return `did not finish within ${timeoutMs} ms`;
  if (typeof error.code === "number") return `ended with exit code ${error.code}`;
  return typeof error.signal === "string" ? `was ended by ${error.signal}` : "could not be run";
}
