import { HoopishError } from "@hoopish/protocol";

export interface BoundedRequest {
  readonly method: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer>;
  /** For the whole exchange, the answer's last byte included. */
  readonly timeoutMs: number;
  /** Of the answer's body. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

export interface BoundedAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: Buffer;
}

/**
 * One request to somebody outside, who may be slow, endless or gone. Redirects are not followed: whoever can have one sent
 * could send us to a host that the operator did not name.
 * @throws HoopishError unreachable, or upstream_failed when the answer is too large; nothing of the answer is quoted
 */
export async function boundedFetch(url: URL, request: BoundedRequest): Promise<BoundedAnswer> {
  const { method, headers, body, timeoutMs, maxBytes, signal } = request;
  const deadline = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      method,
      redirect: "manual",
      signal: signal === undefined ? deadline : AbortSignal.any([deadline, signal]),
      ...(headers !== undefined && { headers }),
      ...(body !== undefined && { body }),
    });
    return {
      status: response.status,
      type: (response.headers.get("content-type") ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "",
      body: await readBody(response, maxBytes),
    };
  } catch (cause) {
    if (cause instanceof HoopishError) throw cause;
    const why = deadline.aborted ? `did not answer within ${timeoutMs / 1_000} s` : `cannot be reached${codeOf(cause)}`;
    throw new HoopishError("unreachable", `${url.origin} ${why}`, { cause });
  }
}

async function readBody(response: Response, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // Leaving the loop cancels the rest.
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) {
      throw new HoopishError(
        "upstream_failed",
        `${new URL(response.url).origin} answered with more than ${maxBytes} bytes`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** ` (ECONNREFUSED)`: fetch hides it in the cause of an error that says no more than "fetch failed". */
function codeOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = inner instanceof Error && "code" in inner ? inner.code : undefined;
  return typeof code === "string" ? ` (${code})` : "";
}
