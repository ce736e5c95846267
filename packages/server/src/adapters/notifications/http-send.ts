import type { Send } from "../../notifications/port.ts";
import { boundedFetch } from "../bounded-fetch.ts";

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 65_536;

/** Redirects are not followed, and answers are not read beyond their status. */
export function httpSend(url: URL): Send {
  return async ({ headers, body }, signal) => {
    const bounds = { timeoutMs: TIMEOUT_MS, maxBytes: MAX_ANSWER_BYTES, signal };
    const answer = await boundedFetch(url, { method: "POST", headers, body: new Uint8Array(body), ...bounds });
    return answer.status;
  };
}
