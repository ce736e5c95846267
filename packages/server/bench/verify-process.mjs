// Verifies one bundle as it is installed (dist), and says how fast and in how much memory: for bench/verify.ts.
import { createReadStream } from "node:fs";
import { verifyBundle } from "@hoopish/protocol/bundle";

const [file, key] = process.argv.slice(2);
const from = process.hrtime.bigint();
const { verdict, counts } = await verifyBundle(createReadStream(file), { keys: [key] });
const seconds = Number(process.hrtime.bigint() - from) / 1e9;
const { user, system } = process.cpuUsage();
process.stdout.write(
  `verify  ${seconds.toFixed(2)} s, ${Math.round(counts.records / seconds / 1000)} thousand records/s · ${verdict}, ` +
    `CPU ${((user + system) / 1e6).toFixed(2)} s, peak RSS ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB\n`,
);
process.exitCode = verdict === "verified" ? 0 : 1;
