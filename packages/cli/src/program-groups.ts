import { type Command, Option } from "commander";
import { type Choose, example, positive, speed } from "./program-parts.ts";

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

export function addAudit(program: Command, choose: Choose): void {
  const audit = program
    .command("audit")
    .description("who asked which model what, and what came back")
    .helpCommand(false);
  example(audit, "hoopish audit list --since 24h", "hoopish audit show call_0190…");
  const list = audit
    .command("list")
    .description("list calls")
    .option("--since <time>", "from: an age such as 24h or 7d, or RFC 3339")
    .option("--until <time>", "up to")
    .option("--user <user>", "of one person or workload")
    .option("--connection <name>", "to one connection")
    .option("--session <id>", "of one session")
    .addOption(new Option("--verdict <verdict>", "decided so").choices(["allow", "hold", "block"]))
    .option("--limit <n>", "at most so many", positive)
    .option("--cursor <cursor>", "go on where the last page ended");
  example(list, "hoopish audit list --since 7d --verdict block");
  list.action((options) =>
    choose(async (context) => (await import("./commands/audit-list.ts")).auditList(context, options)),
  );
  const show = audit
    .command("show")
    .description("print one call's whole story, bodies included")
    .argument("<call>")
    .option("--max-bytes <n>", "of each body", positive, 16_384);
  example(show, "hoopish audit show call_0190…");
  show.action((id: string, options) =>
    choose(async (context) => (await import("./commands/audit-show.ts")).auditShow(context, id, options)),
  );
  addReplay(audit, choose);
  addExport(audit, choose);
  addAuditPin(audit, choose);
}

function addExport(audit: Command, choose: Choose): void {
  const formats = ["bundle", "jsonl", "csv", "ocsf"];
  const range = ["since", "until", "format", "payloads", "user", "connection", "session", "force"];
  const export_ = audit
    .command("export")
    .description("write the log of a time into a file: evidence that can be verified, or lines for other programs")
    .option("--since <time>", "from: an age such as 24h or 7d, or RFC 3339")
    .option("--until <time>", "up to")
    .addOption(new Option("--format <format>", "default: bundle for a name in .tar.gz, else jsonl").choices(formats))
    .option("--payloads", "with the bodies (jsonl; a bundle has them)")
    .option("--no-payloads", "without the bodies (bundle)")
    .option("--user <user>", "of one person or workload (csv: calls; bundle: whose bodies are in it)")
    .option("--connection <name>", "of one connection, likewise")
    .option("--session <id>", "of one session, likewise")
    .option("-o, --output <file>", "the file; - is stdout", "-")
    .option("--force", "replace the file if it is there")
    .addOption(new Option("--resume", "go on with a bundle that was cut off").conflicts(range));
  example(
    export_,
    "hoopish audit export --since 30d -o october.tar.gz",
    "hoopish audit export --resume -o october.tar.gz",
    "hoopish audit export --since 30d --format csv --user scientist@bank.example -o october.csv",
  );
  export_.action((options) =>
    choose(async (context) => (await import("./commands/audit-export.ts")).auditExport(context, options)),
  );
}

function addAuditPin(audit: Command, choose: Choose): void {
  const pin = audit
    .command("pin")
    .description("check that the log has only grown since this machine last saw it")
    .addOption(new Option("--key <vkey>", "trust this key of the log, which the server did not tell you"))
    .addOption(new Option("--forget", "begin anew: for a log that was replaced, and audit knows").conflicts("key"));
  example(pin, "hoopish audit pin", "hoopish audit pin --key 'gateway.bank.example/hoopish+8a1f…+AY…'");
  pin.action((options) =>
    choose(async (context) => (await import("./commands/audit-pin.ts")).auditPin(context, options)),
  );
}

function addReplay(audit: Command, choose: Choose): void {
  const replay = audit
    .command("replay")
    .description("play a recorded session with its timing, or send one recorded request again")
    .argument("[session]", "the session to play")
    .option("--speed <n>", "so many times as fast; max: without waiting", speed, 1)
    .option("--step", "wait for a key before each call")
    .option("--raw", "texts as they came, such as the events of a stream")
    .option("--reissue <call>", "send this call's request again, as yourself, and show what is different")
    .option("--reason <text>", "of the session in which it is sent; some connections require it")
    .option("--ticket <id>", "the ticket that it belongs to");
  example(replay, "hoopish audit replay ses_0190… --speed 4", "hoopish audit replay --reissue call_0190…");
  replay.action((session: string | undefined, options) =>
    choose(async (context) => {
      const { auditReplay, auditReissue } = await import("./commands/audit-replay.ts");
      return options.reissue === undefined
        ? auditReplay(context, session, options)
        : auditReissue(context, session, options);
    }),
  );
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
