import { parseArgs } from "node:util";
import { chaos } from "./chaos.ts";

const HELP = `npm run chaos [-- --kills N] [--seed N] [--look-every N]

Kills a hoopish server under load with kill -9, N times (default 200), and starts it again each time. After each kill it
compares what clients received with what the log holds, and the log with everything that was signed.

  --seed N         the seed of an earlier run: the same calls and delays again
  --look-every N   kills between two looks at the log (default 1)
`;

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "200" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    "look-every": { type: "string", default: "1" },
    help: { type: "boolean", short: "h" },
  },
});

if (values.help) {
  process.stdout.write(HELP);
} else {
  const options = { kills: Number(values.kills), seed: Number(values.seed), lookEvery: Number(values["look-every"]) };
  process.stdout.write(`seed ${options.seed}\n`);
  try {
    const result = await chaos({ ...options, say: (line) => process.stdout.write(`${line}\n`) });
    process.stdout.write(`${JSON.stringify(result)}\nnothing that was delivered is missing\n`);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
