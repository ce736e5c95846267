import type { Command } from "commander";
import { type Choose, example, gathered, positive } from "./program-parts.ts";

/** The rules: check and test a file, try it on recorded calls, and why a call was decided so. */
export function addPolicy(program: Command, choose: Choose): void {
  const load = () => import("./commands/policy.ts");
  const policy = program.command("policy").description("check, test and try rules; why a call was decided so");
  policy.helpCommand(false);
  example(policy, "hoopish policy check server.yaml", "hoopish policy explain call_0190…");
  const check = policy
    .command("check")
    .description("say every mistake in a configuration, with line and column (needs hoopish-server)")
    .argument("<file>");
  example(check, "hoopish policy check server.yaml");
  check.action((file: string) => choose(async (context) => (await load()).checkPolicy(context, file)));
  const test = policy
    .command("test")
    .description("run the tests that stand beside the rules (needs hoopish-server)")
    .argument("<file>");
  example(test, "hoopish policy test server.yaml");
  test.action((file: string) => choose(async (context) => (await load()).testPolicy(context, file)));
  const simulate = policy
    .command("simulate")
    .description("what these rules would have said of recorded calls (auditors; needs hoopish-server)")
    .argument("<file>", "the configuration whose rules are tried")
    .requiredOption("--since <time>", "from: an age such as 24h or 7d, or RFC 3339")
    .option("--until <time>", "up to")
    .option(
      "--groups <user=group,group>",
      "who is in which groups: the log holds only a hash; again and again",
      gathered,
    );
  example(simulate, "hoopish policy simulate stricter.yaml --since 7d");
  simulate.action((file: string, options) =>
    choose(async (context) => (await load()).simulatePolicy(context, file, options)),
  );
  const coverage = policy
    .command("coverage")
    .description("what of each connection's traffic is looked into, and what is not (needs hoopish-server)")
    .argument("<file>");
  example(coverage, "hoopish policy coverage server.yaml --json");
  coverage.action((file: string) => choose(async (context) => (await load()).policyCoverage(context, file)));
  const explain = policy
    .command("explain")
    .description("why a call was decided so: each rule about its caller, and what it says of the call")
    .argument("<call>");
  example(explain, "hoopish policy explain call_0190…");
  explain.action((call: string) => choose(async (context) => (await load()).explainCall(context, call)));
}

/** Masking, tried on standard input. */
export function addMask(program: Command, choose: Choose): void {
  const mask = program
    .command("mask")
    .description("try the masking: text on standard input, masked on standard output (needs hoopish-server)")
    .option("--policy <file>", "with the masking rules for answers of this configuration; else with every detector")
    .option("--connection <name>", "those of one connection")
    .option("--findings", "print what was found, one JSON object a line (offsets in UTF-16 units)")
    .option("--split <n>", "feed it in pieces of so many characters: the result must be the same", positive);
  example(mask, "hoopish mask < answer.txt", "hoopish mask --findings --split 1 < answer.txt");
  mask.action((options) => choose(async (context) => (await import("./commands/policy.ts")).tryMask(context, options)));
}
