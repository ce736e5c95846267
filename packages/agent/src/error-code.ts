/** The machine-readable part of an error, for logs and messages: its own message may quote what a peer sent. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : error instanceof Error ? error.name : "unknown";
}

/** Node ends the streams of an HTTP/2 session that breaks or never stood with an error of its own, and says why in its cause. */
export const reasonOf = (error: unknown): unknown =>
  codeOf(error) === "ERR_HTTP2_STREAM_CANCEL" ? ((error as Error).cause ?? error) : error;
