import { HoopishError, type ReplayLine, replayLineSchema } from "@hoopish/protocol";

/** A call's line holds no payload, and a piece is bounded: nothing that a server of ours sends comes near. */
const MAX_LINE_BYTES = 1024 * 1024;

/** The lines of a replay as they come. @throws HoopishError internal: the server sent something else */
export async function* replayLines(body: AsyncIterable<Buffer>): AsyncGenerator<ReplayLine> {
  let parts: Buffer[] = [];
  let waiting = 0;
  for await (const chunk of body) {
    let at = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, at)) {
      yield parseLine(Buffer.concat([...parts, chunk.subarray(at, end)]));
      parts = [];
      waiting = 0;
      at = end + 1;
    }
    parts.push(chunk.subarray(at));
    waiting += chunk.length - at;
    if (waiting > MAX_LINE_BYTES) throw unreadable(undefined);
  }
  if (waiting > 0) throw unreadable(undefined);
}

function parseLine(bytes: Buffer): ReplayLine {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw unreadable(cause);
  }
  const parsed = replayLineSchema.safeParse(value);
  if (!parsed.success) throw unreadable(parsed.error);
  return parsed.data;
}

const unreadable = (cause: unknown): HoopishError =>
  new HoopishError("internal", "the server sent a replay that this hoopish cannot read", {
    hint: "check that this hoopish is not older than the server",
    cause,
  });
