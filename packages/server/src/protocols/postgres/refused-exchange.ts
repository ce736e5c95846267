import type { AnswerSink, Exchange } from "../../relay/exchange.ts";

/** What stands for something of a client that is no call: a start-up, or a message that cannot be read. */
export function refusedExchange(method: string, database: string, answer: AnswerSink): Exchange {
  const never = (): never => {
    throw new TypeError("what is refused is not carried out");
  };
  return {
    protocol: "postgres",
    method,
    path: `/${encodeURIComponent(database)}`,
    query: "",
    headers: [],
    length: 0,
    body: {
      arrived: () => Promise.resolve(Buffer.alloc(0)),
      prefix: () => Promise.resolve({ bytes: Buffer.alloc(0), ended: true }),
      rest: never,
      trailers: [],
    },
    answer,
    judgesPieces: false,
    meaningInBody: true,
    read: () => ({ state: "none" }),
    describe: () => ({ kind: "other" }),
    json: () => undefined,
    findings: () => new Map(),
    mask: never,
    forward: never,
    view: never,
    close: never,
  };
}
