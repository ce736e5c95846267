import type { ReplayLine } from "@hoopish/protocol";

/** A replay for programs: each line of it with its place in the recording, and where each call ended. */
export async function* replayEvents(lines: AsyncIterable<ReplayLine>): AsyncGenerator<object> {
  let openedMs = 0;
  let calls = 0;
  let beganMs = 0;
  let ending: object | undefined;
  for await (const line of lines) {
    if ("session" in line) {
      openedMs = Date.parse(line.session.openedAt);
      yield { event: "session", ...line.session };
    } else if ("piece" in line) {
      const { call, field, offsetMs, data } = line.piece;
      yield { event: "piece", offsetMs: beganMs + offsetMs, call, field, base64: data };
    } else {
      if (ending !== undefined) yield ending;
      const { call, endedAt, payloads, gone } = line;
      calls += 1;
      beganMs = Math.max(0, Date.parse(call.time) - openedMs);
      yield { event: "call", offsetMs: beganMs, ...call, payloads, gone };
      const { id, status, outcome } = call;
      ending =
        endedAt === undefined
          ? undefined
          : { event: "ended", offsetMs: Math.max(0, Date.parse(endedAt) - openedMs), call: id, status, outcome };
    }
  }
  if (ending !== undefined) yield ending;
  yield { event: "end", calls };
}
