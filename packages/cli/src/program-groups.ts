import { type Command, Option } from "commander";
import { type Choose, example, positive } from "./program-parts.ts";

export function addSessions(program: Command, choose: Choose): void {
  const sessions = program.command("sessions").description("live and past sessions").helpCommand(false);
  example(sessions, "hoopish sessions list", "hoopish sessions kill ses_0190…");
  const load = () => import("./commands/sessions.ts");
  const list = sessions
    .command("list", { isDefault: true })
    .description("list sessions: your own; everybody's for administrators and auditors")
    .addOption(new Option("--state <state>", "which").choices(["live", "past", "all"]).default("live"))
    .option("--limit <n>", "at most so many", positive)
    .option("--cursor <cursor>", "go on where the last page ended");
  example(list, "hoopish sessions list --state all");
  list.action((options) => choose(async (context) => (await load()).listSessions(context, options)));
  const show = sessions.command("show").description("print one session").argument("<id>");
  example(show, "hoopish sessions show ses_0190…");
  show.action((id: string) => choose(async (context) => (await load()).showSession(context, id)));
  const kill = sessions
    .command("kill")
    .description("end a session now, wherever it runs")
    .argument("<id>")
    .option("--reason <text>", "why: it is recorded");
  example(kill, "hoopish sessions kill ses_0190… --reason 'laptop lost'");
  kill.action((id: string, { reason }) => choose(async (context) => (await load()).killSession(context, id, reason)));
}

export function addAgents(program: Command, choose: Choose): void {
  const load = () => import("./commands/agent.ts");
  const agent = program
    .command("agent")
    .description("enrol, list and revoke agents; other words run hoopish-agent where it is installed")
    .helpCommand(false);
  example(agent, "hoopish agent enroll edge-1", "hoopish agent start --config agent.yaml");
  const enroll = agent
    .command("enroll")
    .description("make a one-time token with which an agent joins")
    .argument("<name>", "the agent's name, such as edge-1")
    .option("--ttl <time>", "how long the token may be used, 30s to 1h", "1h");
  example(enroll, "TOKEN=$(hoopish agent enroll edge-1 --quiet)");
  enroll.action((name: string, { ttl }) => choose(async (context) => (await load()).enrollAgent(context, name, ttl)));
  const list = agent.command("list").description("list agents");
  example(list, "hoopish agent list");
  list.action(() => choose(async (context) => (await load()).listAgents(context)));
  const revoke = agent.command("revoke").description("take an agent's key out of use").argument("<name or id>");
  example(revoke, "hoopish agent revoke edge-1");
  revoke.action((which: string) => choose(async (context) => (await load()).revokeAgent(context, which)));

  // Listed for people; external.ts answers before commander sees it.
  const server = program
    .command("server")
    .description("run hoopish-server where it is installed")
    .argument("[words...]")
    .allowUnknownOption();
  example(server, "hoopish server start --config hoopish.yaml");
}

export function addWitness(program: Command, choose: Choose): void {
  const load = () => import("./commands/witness.ts");
  const witness = program
    .command("witness")
    .description("witness a log: cosign its checkpoints as long as they are one history (C2SP tlog-witness)")
    .helpCommand(false);
  example(witness, "hoopish witness init --name bank.example/audit", 'hoopish witness --log "$LOG_VKEY"');
  const files = (command: Command): Command =>
    command
      .option("--key <file>", "the witness's private key", "witness.key")
      .option("--state <file>", "the witness's memory: what it has cosigned", "witness.state");
  const start = files(witness.command("start", { isDefault: true }))
    .description("run until a signal")
    .option("--listen <address>", "where logs reach it; put a proxy with a certificate before it", "127.0.0.1:8460")
    .requiredOption("--log <vkey...>", "verifier keys of the logs that it witnesses");
  example(start, 'hoopish witness start --listen 127.0.0.1:8460 --log "$LOG_VKEY"');
  start.action((options) => choose(async (context) => (await load()).runWitness(context, options)));
  const init = files(witness.command("init"))
    .description("make the key and the memory; print the verifier key")
    .requiredOption("--name <name>", "of the witness, such as bank.example/audit");
  example(init, "hoopish witness init --name bank.example/audit");
  init.action((options) => choose(async (context) => (await load()).initWitness(context, options)));
}
