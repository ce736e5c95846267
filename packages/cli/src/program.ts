import { Command } from "commander";
import type { GlobalOptions } from "./globals.ts";
import { addAudit } from "./program-audit.ts";
import { addGate } from "./program-gate.ts";
import { addAgents, addSessions, addWitness } from "./program-groups.ts";
import { type Choose, type Chosen, example, oneOf, portNumber } from "./program-parts.ts";
import { addMask, addPolicy } from "./program-policy.ts";
import { VERSION } from "./version.ts";

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
  addGate(program, choose);
  addPolicy(program, choose);
  addMask(program, choose);
  addAudit(program, choose);
  addAgents(program, choose);
  addWitness(program, choose);

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
