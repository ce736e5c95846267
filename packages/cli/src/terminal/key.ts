import type { ReadStream } from "node:tty";

const CTRL_C = 0x03;

/**
 * Waits for one key on a terminal.
 * @param interrupt called for Ctrl-C, which is a key and no signal while keys are read
 * @throws the signal's reason
 */
export function readKey(stdin: ReadStream, signal: AbortSignal, interrupt: () => void): Promise<string> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const done = (): void => {
      stdin.off("data", onData);
      signal.removeEventListener("abort", onAbort);
      stdin.setRawMode(false);
      stdin.pause();
    };
    const onData = (bytes: Buffer): void => {
      if (bytes.includes(CTRL_C)) {
        interrupt();
      } else {
        done();
        resolve(bytes.toString("utf8"));
      }
    };
    const onAbort = (): void => {
      done();
      reject(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    stdin.setRawMode(true);
    stdin.on("data", onData);
    stdin.resume();
  });
}
