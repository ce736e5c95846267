import { slackText } from "../../notifications/format.ts";
import { httpSend } from "./http-send.ts";

/**
 * Says in the chat what became of a button, to who pressed it. The address comes with the press: it is used only where it is
 * at the host to which this endpoint's notices go. Nobody waits for it; a failure is told to `failed`.
 */
export function answerInSlack(
  { name, url }: { readonly name: string; readonly url: string },
  responseUrl: string | undefined,
  words: string,
  failed: (endpoint: string, error: unknown) => void,
): void {
  if (responseUrl === undefined || !URL.canParse(responseUrl)) return;
  const to = new URL(responseUrl);
  if (to.origin !== new URL(url).origin) return;
  const body = { response_type: "ephemeral", replace_original: false, text: slackText(words) };
  const message = { headers: { "content-type": "application/json" }, body: Buffer.from(JSON.stringify(body)) };
  httpSend(to)(message, AbortSignal.timeout(10_000)).catch((error: unknown) => failed(name, error));
}
