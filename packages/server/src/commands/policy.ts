import { createInterface } from "node:readline";
import { HoopishError, type StoredRecord } from "@hoopish/protocol";
import { loadConfig } from "../config/load.ts";
import { coverageOf } from "../masking/coverage.ts";
import { compilePolicy } from "../policy/policy.ts";
import { runPolicyTests } from "../policy/run-tests.ts";
import { Simulator } from "../policy/simulate.ts";
import { world } from "./world.ts";

export function policyTest(file: string, json: boolean): void {
  const config = loadConfig(file, world);
  const results = runPolicyTests(config.tests, compilePolicy(config), config.connections, Date.now());
  const failed = results.filter(({ ok }) => !ok).length;
  if (json) process.stdout.write(`${JSON.stringify({ ok: failed === 0, tests: results })}\n`);
  else {
    for (const [index, { ok, expected, got }] of results.entries()) {
      if (!ok) process.stdout.write(`✗ tests[${index}]: expected ${expected}, got ${got}\n`);
    }
    process.stdout.write(`${results.length - failed} passed, ${failed} failed\n`);
  }
  process.exitCode = failed === 0 ? 0 : 1;
}

export async function policySimulate(file: string, named: readonly string[], json: boolean): Promise<void> {
  const config = loadConfig(file, world);
  const groupsOf = new Map(
    named.map((one): [string, string[]] => {
      const at = one.indexOf("=");
      if (at < 1)
        throw new HoopishError("usage", "--groups takes user=group,group", { hint: "--groups a@b.example=staff" });
      return [
        one.slice(0, at),
        one
          .slice(at + 1)
          .split(",")
          .filter(Boolean),
      ];
    }),
  );
  const simulator = new Simulator(compilePolicy(config), config.connections, groupsOf);
  for await (const line of createInterface({ input: process.stdin })) {
    const record = exportedRecord(line);
    if (record !== undefined) simulator.add(record);
  }
  const result = simulator.result();
  if (json) {
    process.stdout.write(`${JSON.stringify(result)}\n`);
    return;
  }
  // What callers chose (paths stay out, users and models do not) must not drive the terminal.
  const safe = (text: string): string => text.replace(/[^\x20-\x7e]/g, "?");
  for (const { time, call, user, connection, kind, rows, was, would } of result.changed) {
    const what = `${kind}${rows === undefined ? "" : ` ${rows} rows`}`;
    process.stdout.write(`${time} ${call} ${safe(`${user} ${connection} ${what}`)}: was ${was}, would be ${would}\n`);
  }
  process.stdout.write(`${result.calls} calls: ${result.same} the same, ${result.changed.length} other\n`);
  if (result.guessed.length > 0) {
    process.stderr.write(`groups taken from the rules that let them in: ${result.guessed.map(safe).join(", ")}\n`);
  }
  if (result.blind) process.stderr.write("a rule looks at bodies or headers, which records do not hold\n");
}

/** One line of `audit export --format jsonl`; undefined for a payload. @throws HoopishError usage for anything else */
function exportedRecord(line: string): StoredRecord | undefined {
  try {
    const { record } = JSON.parse(line) as { record?: StoredRecord };
    return record;
  } catch (cause) {
    throw new HoopishError("usage", "standard input is no export in jsonl", { cause });
  }
}

export function coverage(file: string, json: boolean): void {
  const all = coverageOf(loadConfig(file, world));
  if (json) {
    process.stdout.write(`${JSON.stringify({ connections: all })}\n`);
    return;
  }
  for (const { connection, protocol, request, response, notInspected, uninspectable } of all) {
    process.stdout.write(`${connection} (${protocol})\n`);
    for (const [name, one] of Object.entries({ request, response })) {
      const what = [
        ...one.detect,
        ...one.patterns,
        ...one.analyzers,
        ...(one.fields === 0 ? [] : [`${one.fields} fields`]),
      ];
      const by = one.rules.length === 0 ? "nothing" : `${what.join(", ")} (${one.rules.join(", ")})`;
      process.stdout.write(`  ${name.padEnd(14)}${by}\n`);
    }
    process.stdout.write(`  not inspected ${notInspected.join("; ")}\n  uninspectable ${uninspectable}\n`);
  }
}
