import { type ApprovalEvent, approvalEventSchema, HoopishError } from "@hoopish/protocol";
import type { Context } from "../context.ts";

/** Twice the server's sign of life, and some. */
const SILENCE_MS = 40_000;
const MAX_LINE = 1_048_576;
const RETRY_MS = [250, 500, 1_000, 2_000, 5_000];

/**
 * What happens to requests for approval, pushed by the server; dials again when it breaks off.
 * @throws HoopishError what no second try would change: not signed in, refused
 */
export async function* followApprovals(context: Context): AsyncGenerator<ApprovalEvent> {
  const api = await context.api();
  for (let failures = 0; ; failures++) {
    try {
      const response = await api.stream("/api/v1/approvals/events", {}, SILENCE_MS);
      for await (const event of eventsOf(response.body as AsyncIterable<Buffer>)) {
        failures = 0;
        yield event;
      }
    } catch (error) {
      context.signal.throwIfAborted();
      const code = error instanceof HoopishError ? error.code : undefined;
      if (code !== undefined && code !== "unreachable" && code !== "server_draining") throw error;
    }
    await pause(RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] as number, context.signal);
  }
}

async function* eventsOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<ApprovalEvent> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of chunks) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_LINE) throw new HoopishError("internal", "the server's line is too long");
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      const event = line === "" ? undefined : approvalEventSchema.safeParse(JSON.parse(line));
      if (event?.success) yield event.data;
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}
