import { run } from "./commands/run.ts";

/** The composition root: the only reader of argv, the environment, the standard streams and signals. */
const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // The second time the operator does not want to wait for calls in flight.
    if (interrupted.signal.aborted) process.exit(1);
    interrupted.abort();
  });
}

const { env, stdin, stdout, stderr } = process;
process.exitCode = await run(process.argv.slice(2), {
  env,
  stdin,
  stdout,
  stderr,
  interrupted: interrupted.signal,
});
