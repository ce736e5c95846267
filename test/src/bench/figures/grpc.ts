import { type Client, credentials } from "@grpc/grpc-js";
import { applicant, clientOf } from "@hoopish/fixtures";
import type { Bench } from "../bench.ts";
import { atLeast, atMost, type FigureResult, short } from "../result.ts";
import { median, medianRatio, quantile } from "../stats.ts";

const IN_FLIGHT = 32;
const WAYS = ["direct", "hoopish"] as const;

interface Measured {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly failed: number;
}

/** Unary calls of @grpc/grpc-js: straight to the model server, and through hoopish, turn about. */
export async function grpcFigure(bench: Bench): Promise<FigureResult> {
  const { grpc } = await bench.protocols();
  const series = new Map<string, { perSecond: number[]; p50: number[] }>();
  let failed = 0;
  for (const inFlight of [1, IN_FLIGHT]) {
    for (const round of bench.rounds(`gRPC, ${inFlight} in flight`, bench.options.rounds + 1)) {
      for (const way of round % 2 === 0 ? WAYS : WAYS.toReversed()) {
        const measured = await measure(grpc[way], inFlight, bench.options.seconds * 1_000);
        await bench.settle();
        if (round === 0) continue;
        const key = `${way} ${inFlight}`;
        const one = series.get(key) ?? { perSecond: [], p50: [] };
        one.perSecond.push(measured.perSecond);
        one.p50.push(measured.p50Ms);
        series.set(key, one);
        failed += measured.failed;
      }
    }
  }
  const of = (way: string, inFlight: number) => series.get(`${way} ${inFlight}`) ?? { perSecond: [], p50: [] };
  const rows = [1, IN_FLIGHT].flatMap((inFlight) =>
    WAYS.map((way) => {
      const { perSecond, p50 } = of(way, inFlight);
      return [way, String(inFlight), short(median(perSecond)), short(median(p50))];
    }),
  );
  const direct = median(of("direct", 1).p50);
  return {
    figure: "grpc",
    tables: [
      {
        title: "gRPC: ModelInfer of one row, @grpc/grpc-js",
        note: "p50 in ms. One client process; direct is the same client without hoopish.",
        head: ["way", "in flight", "req/s", "p50"],
        rows,
      },
    ],
    goals: [
      atLeast(
        `gRPC req/s ÷ direct, ${IN_FLIGHT} in flight`,
        medianRatio(of("hoopish", IN_FLIGHT).perSecond, of("direct", IN_FLIGHT).perSecond),
        0.35,
      ),
      atMost("gRPC p50, 1 in flight", median(of("hoopish", 1).p50), Number((3 * direct + 1).toFixed(2)), "ms"),
    ],
    broken: failed === 0 ? [] : [`${failed} calls of gRPC failed`],
    data: Object.fromEntries(series),
  };
}

async function measure(port: number, inFlight: number, ms: number): Promise<Measured> {
  const client: Client & Record<string, CallableFunction> = new (clientOf("inference.GRPCInferenceService"))(
    `127.0.0.1:${port}`,
    credentials.createInsecure(),
    // A channel of its own: a shared one would hide the connection that hoopish has to make.
    { "grpc.use_local_subchannel_pool": 1 },
  ) as never;
  const inputs = [
    { name: "rows", datatype: "FP64", shape: [1, 8], contents: { fp64_contents: applicant(3).features } },
  ];
  const times: number[] = [];
  let failed = 0;
  const once = (): Promise<void> =>
    new Promise((resolve) => {
      const start = performance.now();
      client.ModelInfer?.({ model_name: "credit", inputs }, (error: Error | null) => {
        if (error === null) times.push(performance.now() - start);
        else failed += 1;
        resolve();
      });
    });
  await once();
  times.length = 0;
  const start = performance.now();
  const end = start + ms;
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (performance.now() < end) await once();
    }),
  );
  const took = performance.now() - start;
  client.close();
  return { perSecond: (times.length * 1_000) / took, p50Ms: quantile(times, 0.5), failed };
}
