import { Command, InvalidArgumentError, Option } from "commander";
import type { Context } from "./context.ts";
import type { GlobalOptions } from "./globals.ts";
import { VERSION } from "./version.ts";

/** A command that was parsed and is ready to run. @returns the exit code; anything else is 0 */
export type Chosen = (context: Context) => Promise<unknown>;

export interface Parsed {
  readonly globals: GlobalOptions;
  readonly run: Chosen;
}

/** Where commander's texts go: help on stdout, mistakes to whoever reports them. */
export interface ProgramOutput {
  writeOut(text: string): void;
  writeErr(text: string): void;
  readonly columns: number | undefined;
}

/**
 * The whole command line. Each action only notes what is to run: its module, and all that the module needs, is loaded
 * afterwards, so that `--version`, `--help` and completion load nothing but this.
 * @param choose receives the command that argv names
 * @param childCommand what stood after `--`: commander would mix it with the names before
 */
export function buildProgram(
  output: ProgramOutput,
  childCommand: readonly string[] | undefined,
  choose: (run: Chosen) => void,
): Command {
  const program = new Command("hoopish")
    .description("Use the bank's AI models as yourself: signed in, within policy, on the record.")
    .version(VERSION, "-V, --version", "print the version")
    .option("--json", "print JSON: one document, or one object a line for a stream")
    .option("--server <url>", "the hoopish server (default: HOOPISH_SERVER, or the one of the last login)")
    .option("--config-dir <dir>", "folder of settings and locks (default: HOOPISH_CONFIG_DIR, or ~/.config/hoopish)")
    .option("-q, --quiet", "print results only, no remarks")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .configureOutput({
      ...output,
      outputError: () => {},
      ...(output.columns !== undefined && { getOutHelpWidth: () => output.columns ?? 80 }),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  example(program, "hoopish login --server https://gateway.bank.example", "hoopish connect model-x -- python ask.py");

  addSignIn(program, choose);
  addConnect(program, childCommand, choose);
  addSessions(program, choose);
  addAudit(program, choose);
  addAgents(program, choose);

  const doctor = program.command("doctor").description("look at server, clock, keychain, proxy, token and agents");
  example(doctor, "hoopish doctor");
  doctor.action(() => choose(async (context) => (await import("./commands/doctor.ts")).doctor(context)));

  const shells = ["bash", "zsh", "fish"] as const;
  const completion = program
    .command("completion")
    .description("print a completion script for a shell")
    .argument("<shell>", shells.join(", "), oneOf(shells));
  example(completion, 'eval "$(hoopish completion bash)"');
  completion.action((shell: (typeof shells)[number]) =>
    choose(async ({ output }) => {
      const { completionScript } = await import("./completion.ts");
      output.raw(completionScript(program, shell));
    }),
  );
  return program;
}

export function globalsOf(program: Command): GlobalOptions {
  const { json, quiet, server, configDir } = program.opts<Partial<GlobalOptions>>();
  return { json: json ?? false, quiet: quiet ?? false, server, configDir };
}

type Choose = (run: Chosen) => void;

function addSignIn(program: Command, choose: Choose): void {
  const login = program
    .command("login")
    .description("sign in with the bank's identity provider")
    .option("--browser", "sign in through a browser on this machine (authorization code, PKCE)")
    .option("--device", "sign in with a code, on any machine's browser (RFC 8628)")
    .option("--no-open", "do not open a browser")
    .option("--insecure-storage", "without a keychain, keep the tokens in a file that only you can read")
    .option("--issuer <url>", "which identity provider, where the server has several");
  example(login, "hoopish login --server https://gateway.bank.example", "hoopish login --browser");
  login.action((options) => choose(async (context) => (await import("./commands/login.ts")).login(context, options)));

  const logout = program.command("logout").description("take the tokens back and forget them");
  example(logout, "hoopish logout");
  logout.action(() => choose(async (context) => (await import("./commands/logout.ts")).logout(context)));

  const whoami = program
    .command("whoami")
    .description("who you are to the server, until when, and where your token is");
  example(whoami, "hoopish whoami --json");
  whoami.action(() => choose(async (context) => (await import("./commands/whoami.ts")).whoami(context)));
}

function addConnect(program: Command, childCommand: readonly string[] | undefined, choose: Choose): void {
  const connections = program.command("connections").description("what you may use, and whether it is online");
  example(connections, "hoopish connections");
  connections.action(() => choose(async (context) => (await import("./commands/connections.ts")).connections(context)));

  const connect = program
    .command("connect")
    .description("open a connection as a local port; with -- CMD, run CMD with the variables set")
    .usage("[options] <name...> [-- CMD ARG...]")
    .argument("<name...>", "connections, as `hoopish connections` lists them")
    .option("--port <n>", "local port; several names get n, n+1, …; 0: any free one", portNumber)
    .option("--reason <text>", "why you need it; some connections require it")
    .option("--ticket <id>", "the ticket that it belongs to")
    .option("--require-key", "local programs must send the session's key: for machines with other users");
  example(
    connect,
    "hoopish connect model-x",
    "hoopish connect model-x --reason 'Q3 validation' --port 8080",
    "hoopish connect model-x -- python ask.py",
  );
  connect.action((names: string[], options) =>
    choose(async (context) => {
      const { connect: run } = await import("./commands/connect.ts");
      return run(context, names, { ...options, childCommand });
    }),
  );
}

function addSessions(program: Command, choose: Choose): void {
  const sessions = program.command("sessions").description("live and past sessions");
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

function addAudit(program: Command, choose: Choose): void {
  const audit = program.command("audit").description("who asked which model what, and what came back");
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
  const export_ = audit
    .command("export")
    .description("write the log of a time into a file")
    .requiredOption("--since <time>", "from: an age such as 24h or 7d, or RFC 3339")
    .option("--until <time>", "up to")
    .addOption(new Option("--format <format>", "of the file").choices(["jsonl", "csv"]).default("jsonl"))
    .option("--payloads", "with the bodies (jsonl)")
    .option("-o, --output <file>", "the file; - is stdout", "-")
    .option("--force", "replace the file if it is there");
  example(export_, "hoopish audit export --since 30d --format csv -o october.csv");
  export_.action((options) =>
    choose(async (context) => (await import("./commands/audit-export.ts")).auditExport(context, options)),
  );
}

function addAgents(program: Command, choose: Choose): void {
  const load = () => import("./commands/agent.ts");
  const agent = program
    .command("agent")
    .description("enrol, list and revoke agents; other words run hoopish-agent where it is installed");
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

function example(command: Command, ...lines: readonly string[]): void {
  command.addHelpText(
    "after",
    `\nExample${lines.length > 1 ? "s" : ""}:\n${lines.map((line) => `  $ ${line}`).join("\n")}`,
  );
}

function portNumber(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError("a port is a number from 0 to 65535");
}

function positive(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("a whole number of at least 1 is needed");
}

function oneOf<T extends string>(allowed: readonly T[]): (text: string) => T {
  return (text) => {
    const found = allowed.find((one) => one === text);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`allowed: ${allowed.join(", ")}`);
  };
}
