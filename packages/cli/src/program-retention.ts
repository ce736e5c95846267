import type { Command } from "commander";
import { type Choose, example } from "./program-parts.ts";

/** How long bodies are kept: the part of `hoopish audit` that is about it. */
export function addRetention(audit: Command, choose: Choose): void {
  const purge = audit
    .command("purge")
    .description("destroy the bodies whose time is over, as the server does every night")
    .option("--dry-run", "only show what would be destroyed, and what holds keep");
  example(purge, "hoopish audit purge --dry-run", "hoopish audit purge");
  purge.action((options) =>
    choose(async (context) => (await import("./commands/audit-purge.ts")).auditPurge(context, options)),
  );
  const load = () => import("./commands/audit-hold.ts");
  const hold = audit
    .command("hold")
    .description("keep bodies beyond their time, for a dispute or an inquiry: of calls that fit all that is given")
    .option("--reason <text>", "why: it is recorded")
    .option("--user <user>", "of one person or workload")
    .option("--connection <name>", "to one connection")
    .option("--session <id>", "of one session")
    .option("--call <id>", "of one call")
    .option("--since <time>", "decided from: an age such as 7d, or RFC 3339")
    .option("--until <time>", "decided before")
    .option("--list", "the holds that stand")
    .option("--all", "with --list: released ones too");
  example(hold, "hoopish audit hold --user eve@bank.example --reason 'Case 2026-114'", "hoopish audit hold --list");
  hold.action((options) => choose(async (context) => (await load()).auditHold(context, options)));
  const release = audit
    .command("release")
    .description("end a hold: what it alone kept goes with the next purge")
    .argument("<hold>", "as `hoopish audit hold --list` shows it")
    .requiredOption("--reason <text>", "why: it is recorded");
  example(release, "hoopish audit release hold_0190… --reason 'Case closed'");
  release.action((id: string, { reason }) =>
    choose(async (context) => (await load()).auditRelease(context, id, reason)),
  );
}
