/** How the identity provider is asked. */
export interface FetchOptions {
  readonly fetch: typeof globalThis.fetch;
  readonly timeoutMs: number;
}

/** A discovery document has some 5 KiB, a key set some 20. */
const MAX_BYTES = 1_048_576;

/**
 * GET of a JSON document from an identity provider. Redirects are not followed: whoever can have one sent could send us
 * to a host, or down to a scheme, that the operator did not name.
 * @throws Error with a sentence for the log; it holds nothing of the answer's body
 */
export async function fetchJson(url: URL, { fetch, timeoutMs }: FetchOptions): Promise<unknown> {
  // The signal covers the body too: a provider that sends one byte a second holds nobody up.
  const signal = AbortSignal.timeout(timeoutMs);
  const response = await fetch(url, { redirect: "manual", headers: { accept: "application/json" }, signal }).catch(
    (cause: unknown) => {
      throw new Error(`${url.href} cannot be reached${reasonOf(cause)}`, { cause });
    },
  );
  if (response.status !== 200) {
    await response.body?.cancel();
    const redirect = response.status >= 300 && response.status < 400 ? ", a redirect, which is not followed" : "";
    throw new Error(`${url.href} answered ${response.status}${redirect}`);
  }
  const text = await readText(response, url);
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message would quote the body.
    throw new Error(`${url.href} answered with something that is not JSON`);
  }
}

async function readText(response: Response, url: URL): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error(`${url.href} answered with more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** ` (ECONNREFUSED)`: fetch hides it in the cause of an error that says no more than "fetch failed". */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  if (error.name === "TimeoutError") return " in time";
  const inner = error.cause instanceof Error ? error.cause : error;
  return "code" in inner && typeof inner.code === "string" ? ` (${inner.code})` : ` (${inner.message})`;
}
