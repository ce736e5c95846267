import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";

it("reads thousands of texts in little memory", () => {
  const program = `
    import { loadSqlParser, readSql } from ${JSON.stringify(new URL("read-sql.ts", import.meta.url).href)};
    await loadSqlParser();
    const end = performance.now() + 1_500;
    for (let i = 0; performance.now() < end; i++) {
      readSql("SELECT abalance FROM pgbench_accounts WHERE aid = " + i);
      if (i % 1_000 === 0) await new Promise(setImmediate);
    }
    process.stdout.write(String(process.resourceUsage().maxRSS));`;
  const args = ["--conditions=@hoopish/source", "--input-type=module", "--eval", program];
  const kib = Number(execFileSync(process.execPath, args, { encoding: "utf8" }));
  expect(kib).toBeGreaterThan(10_000);
  // An optimizing compiler at work on the parser would take more than twice as much.
  expect(kib / 1024).toBeLessThan(260);
});
