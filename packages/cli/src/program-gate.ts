import type { Command } from "commander";
import { type Choose, example, positive } from "./program-parts.ts";

/** Approvals and locks. */
export function addGate(program: Command, choose: Choose): void {
  addApprovals(program, choose);
  addLocks(program, choose);
}

function addApprovals(program: Command, choose: Choose): void {
  const load = () => import("./commands/approvals.ts");
  const requests = program
    .command("requests")
    .description("requests for approval: yours, and those that you may decide")
    .argument("[id]", "one of them, in full")
    .option("--all", "those that are settled too")
    .option("--reviews", "those that broke the glass and owe a review")
    .option("--watch", "print each change as it happens")
    .option("--limit <n>", "at most so many", positive);
  example(requests, "hoopish requests", "hoopish requests apr_0190…", "hoopish requests --watch --json");
  requests.action((id: string | undefined, options) =>
    choose(async (context) => (await load()).listRequests(context, id, options)),
  );
  const approve = program
    .command("approve")
    .description("approve a request; without an id, on a terminal, the inbox")
    .argument("[id]")
    .option("--reason <text>", "why: it is recorded")
    .option("--break-glass", "pass your own request, where the rule lets you; a review is owed");
  example(approve, "hoopish approve", "hoopish approve apr_0190… --reason 'monthly run, CHG-1042'");
  approve.action((id: string | undefined, options) =>
    choose(async (context) => (await load()).approve(context, id, options)),
  );
  const deny = program
    .command("deny")
    .description("deny a request")
    .argument("<id>")
    .requiredOption("--reason <text>", "why: it is recorded, and told to who asked");
  example(deny, "hoopish deny apr_0190… --reason 'no ticket'");
  deny.action((id: string, { reason }) => choose(async (context) => (await load()).deny(context, id, reason)));
  const review = program
    .command("review")
    .description("review a request that broke the glass")
    .argument("<id>")
    .requiredOption("--reason <text>", "what you found: it is recorded");
  example(review, "hoopish review apr_0190… --reason 'outage INC-77, justified'");
  review.action((id: string, { reason }) => choose(async (context) => (await load()).review(context, id, reason)));
}

function addLocks(program: Command, choose: Choose): void {
  const load = () => import("./commands/locks.ts");
  const lock = program
    .command("lock")
    .description("shut a user out, at once and everywhere; or an agent, or a connection")
    .argument("<name>", "the user as rules know him")
    .requiredOption("--reason <text>", "why: it is recorded")
    .option("--agent", "the name is an agent's")
    .option("--connection", "the name is a connection's");
  example(lock, "hoopish lock mallory@bank.example --reason 'left the bank'");
  lock.action((name: string, options) => choose(async (context) => (await load()).lock(context, name, options)));
  const unlock = program
    .command("unlock")
    .description("lift a lock")
    .argument("<name or id>")
    .requiredOption("--reason <text>", "why: it is recorded");
  example(unlock, "hoopish unlock mallory@bank.example --reason 'a mistake'");
  unlock.action((which: string, { reason }) =>
    choose(async (context) => (await load()).unlock(context, which, reason)),
  );
  const locks = program.command("locks").description("what is locked").option("--all", "what was, too");
  example(locks, "hoopish locks");
  locks.action(({ all }) => choose(async (context) => (await load()).listLocks(context, all === true)));
}
