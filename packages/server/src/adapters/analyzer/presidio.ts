import { HoopishError } from "@hoopish/protocol";
import { z } from "zod";
import type { Analyze, AnalyzerConfig } from "../../masking/analyzer.ts";
import { boundedFetch } from "../bounded-fetch.ts";

const MAX_ANSWER_BYTES = 4_194_304;

const answerSchema = z.array(
  z.object({ entity_type: z.string(), start: z.number().int(), end: z.number().int(), score: z.number() }),
);

/**
 * Presidio's analyzer over HTTP (`POST /analyze`). Its offsets count code points, as Python does; ours are UTF-16 units. Whatever
 * goes wrong means that the text was not looked at.
 */
export function presidio({ url, entities, minScore, language, deadlineMs }: AnalyzerConfig): Analyze {
  const address = new URL("analyze", url.endsWith("/") ? url : `${url}/`);
  return async (text) => {
    const body = new TextEncoder().encode(JSON.stringify({ text, language, entities, score_threshold: minScore }));
    let findings: z.infer<typeof answerSchema>;
    try {
      const headers = { "content-type": "application/json" };
      const bounds = { timeoutMs: deadlineMs, maxBytes: MAX_ANSWER_BYTES };
      const answer = await boundedFetch(address, { method: "POST", headers, body, ...bounds });
      if (answer.status !== 200) throw new Error(`status ${answer.status}`);
      findings = answerSchema.parse(JSON.parse(answer.body.toString("utf8")));
    } catch (cause) {
      throw new HoopishError(
        "response_uninspectable",
        "it cannot be looked into: the analyzer did not answer as it should",
        {
          cause,
        },
      );
    }
    const units = unitsOf(text);
    return findings
      .filter(({ entity_type, score }) => score >= minScore && entities.includes(entity_type))
      .map(({ entity_type, start, end }) => ({ type: entity_type, start: units(start), end: units(end) }));
  };
}

/** From code points to UTF-16 units. */
function unitsOf(text: string): (point: number) => number {
  if (!/[\ud800-\udbff]/.test(text)) return (point) => point;
  const starts: number[] = [];
  let at = 0;
  for (const char of text) {
    starts.push(at);
    at += char.length;
  }
  return (point) => starts[point] ?? at;
}
