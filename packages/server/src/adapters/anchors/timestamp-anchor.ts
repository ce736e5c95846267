import type { Anchor } from "../../evidence/anchors/anchor.ts";
import { obtainTimestamp, type TimestampClientOptions } from "./timestamp-client.ts";

export interface TimestampAnchorOptions extends TimestampClientOptions {
  readonly everyMs: number;
  readonly required: boolean;
}

/** An RFC 3161 authority: it keeps nothing, and what it signs shows that a checkpoint was there at a time. */
export function timestampAnchor(options: TimestampAnchorOptions): Anchor {
  const { everyMs, required } = options;
  return {
    name: `timestamp authority ${options.url.origin}`,
    everyMs,
    required,
    publish: async ({ note }, signal) => {
      const { response, timestamp } = await obtainTimestamp(Buffer.from(note), { ...options, signal });
      return { kind: "timestamp", note, response, genTimeMs: timestamp.genTimeMs };
    },
    newest: async () => undefined,
  };
}
