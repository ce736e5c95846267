/** The machine-readable part of an error, for logs and messages: its own message may quote what a peer sent. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : error instanceof Error ? error.name : "unknown";
}
