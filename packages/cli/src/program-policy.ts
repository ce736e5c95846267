import type { Command } from "commander";
import { type Choose, example, gathered } from "./program-parts.ts";

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
  const explain = policy
    .command("explain")
    .description("why a call was decided so: each rule about its caller, and what it says of the call")
    .argument("<call>");
  example(explain, "hoopish policy explain call_0190…");
  explain.action((call: string) => choose(async (context) => (await load()).explainCall(context, call)));
}
