import type { Bench } from "../bench.ts";
import { atLeast, type FigureResult, short } from "../result.ts";
import { median, medianRatio } from "../stats.ts";
import { CALLS, measure, wake } from "./requests.ts";

const CONNECTIONS = 32;
const DETECT =
  "[US_SSN, US_ITIN, US_EIN, CREDIT_CARD, IBAN, ABA_ROUTING, US_BANK_ACCOUNT, PHONE, EMAIL, DATE_OF_BIRTH, IP_ADDRESS, PERSON, STREET_ADDRESS, API_KEY, JWT]";
const MASKING = `masking:
  - { name: answers, connections: ["*"], direction: response, detect: ${DETECT}, action: redact }
  - { name: questions, connections: ["*"], direction: request, detect: ${DETECT}, action: redact }
`;

/** What it costs that both ways are masked: the same programs beside others that mask, turn about. */
export async function maskingFigure(bench: Bench): Promise<FigureResult> {
  const plain = bench.paths.find(({ name }) => name === "hoopish");
  if (plain === undefined) {
    return { figure: "masking", tables: [], goals: [], broken: [], data: { leftOut: "no hoopish" } };
  }
  const masking = await bench.another({ serverExtra: MASKING });
  const both = [
    ["plain", plain],
    ["masking", masking],
  ] as const;
  const tables: FigureResult["tables"][number][] = [];
  const goals: FigureResult["goals"][number][] = [];
  const broken: string[] = [];
  const data: Record<string, unknown> = {};
  for (const call of CALLS) {
    const perSecond = { plain: [] as number[], masking: [] as number[] };
    const p50 = { plain: [] as number[], masking: [] as number[] };
    let failed = 0;
    for (const round of bench.rounds(`masking, ${call.name}`, bench.options.rounds + 1)) {
      const { result } = await bench.patience.measure(async () => {
        await wake(bench, call, CONNECTIONS);
        const turn = [];
        for (const [which, path] of round % 2 === 0 ? both : both.toReversed()) {
          turn.push({ which, ...(await measure(bench, call, path, call.endpoint(path) ?? path.chat, CONNECTIONS)) });
          await bench.settle();
        }
        return turn;
      });
      // The second hoopish has not run before: its first turn warms it up.
      if (round === 0) continue;
      for (const { which, done } of result) {
        perSecond[which].push(done.perSecond);
        p50[which].push(done.p50Ms);
        failed += done.failed;
      }
    }
    const row = (which: "plain" | "masking") => [which, short(median(perSecond[which])), short(median(p50[which]))];
    tables.push({
      title: `With masking and without: ${call.name}, ${CONNECTIONS} connections`,
      note: "p50 in ms. The same programs twice; one masks requests and answers with fifteen detectors.",
      head: ["hoopish", "req/s", "p50"],
      rows: [row("plain"), row("masking")],
    });
    goals.push(
      atLeast(`${call.name} req/s with masking ÷ without`, medianRatio(perSecond.masking, perSecond.plain), 0.9),
    );
    if (failed > 0) broken.push(`${failed} requests failed with masking`);
    data[call.name] = { perSecond, p50 };
  }
  return { figure: "masking", tables, goals, broken, data };
}
