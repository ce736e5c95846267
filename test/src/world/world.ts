import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Idp, type ModelServer, startIdp, startModelServer } from "@hoopish/fixtures";
import { ed25519Signer, formatLogKey, newLogKey, parseLogKey } from "@hoopish/protocol";
import { freePort } from "./free-port.ts";
import { type Ended, type Program, type ProgramOptions, run } from "./program.ts";

export interface WorldOptions {
  /** Lives on after `close`; a fresh temporary folder otherwise. */
  readonly dir?: string;
  readonly accessTokenTtlSeconds?: number;
  /** YAML: replaces the connections of the server's configuration. */
  readonly connections?: string;
  /** YAML: replaces the rules. */
  readonly rules?: string;
  /** YAML: more connections of the agent. */
  readonly targets?: string;
  /** YAML lines of their own at the top level of the server's configuration. */
  readonly serverExtra?: string;
  /** The server's database; `data/hoopish.db` in the folder otherwise. */
  readonly store?: string;
  /** Model server as a process of its own; the library in this process otherwise. */
  readonly modelProcess?: boolean;
}

export type Account = "scientist" | "risk1" | "risk2" | "audit" | "platform" | "contractor";

const email = (account: Account): string => `${account}@bank.example`;

/** Everything on this machine: identity provider, model server, hoopish server, agents, and people with their CLIs. */
export class World {
  readonly dir: string;
  readonly idp: Idp;
  readonly modelUrl: string;
  /** The model server's credential: only the agent is told. */
  readonly credential: string;
  readonly model: ModelServer | undefined;
  readonly serverPort: number;
  readonly #options: WorldOptions;
  readonly #programs = new Set<Program>();
  readonly #model: { close(): Promise<unknown> };
  server!: Program;
  agent!: Program;

  private constructor(
    dir: string,
    options: WorldOptions,
    idp: Idp,
    model: { url: string; close(): Promise<unknown>; library?: ModelServer },
    credential: string,
    serverPort: number,
  ) {
    this.dir = dir;
    this.#options = options;
    this.idp = idp;
    this.modelUrl = model.url;
    this.model = model.library;
    this.#model = model;
    this.credential = credential;
    this.serverPort = serverPort;
  }

  static async start(options: WorldOptions = {}): Promise<World> {
    const dir = options.dir ?? mkdtempSync(join(tmpdir(), "hoopish-"));
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const ttl = options.accessTokenTtlSeconds;
    const idp = await startIdp({ port: 0, ...(ttl === undefined ? {} : { accessTokenTtlSeconds: ttl }) });
    const credential = `model-secret-${crypto.randomUUID()}`;
    const model = options.modelProcess === true ? await modelProcess(credential) : await modelLibrary(credential);
    const world = new World(dir, options, idp, model, credential, await freePort());
    await world.startServer();
    await world.enrolAgent("edge-1");
    world.agent = await world.startAgent("edge-1");
    return world;
  }

  get serverUrl(): string {
    return `http://127.0.0.1:${this.serverPort}`;
  }
  get databasePath(): string {
    return this.#options.store ?? join(this.dir, "data", "hoopish.db");
  }

  path(...parts: readonly string[]): string {
    return join(this.dir, ...parts);
  }

  /** Writes the configuration and starts the server; again after a stop or a kill. */
  async startServer(): Promise<Program> {
    writeFileSync(this.path("server.yaml"), this.#serverYaml());
    this.#makeKeys();
    this.server = this.keep(run("hoopish-server", ["start", "--config", this.path("server.yaml"), "--json"]));
    await this.server.event(({ event }) => event === "listening");
    return this.server;
  }

  /** An administrator's one-time token, and the agent that joins with it. */
  async enrolAgent(name: string): Promise<void> {
    writeFileSync(this.path(`${name}.yaml`), this.agentYaml(name));
    await this.signIn("platform");
    const invited = await this.cli("platform", ["agent", "enroll", name, "--json"]);
    const { token } = JSON.parse(invited.stdout) as { token: string };
    writeFileSync(this.path(`${name}.token`), token, { mode: 0o600 });
    const joined = run("hoopish-agent", [
      "join",
      "--config",
      this.path(`${name}.yaml`),
      "--token-file",
      this.path(`${name}.token`),
    ]);
    const { code } = await joined.ended;
    if (code !== 0) throw new Error(`hoopish-agent join ended with ${code}: ${joined.stderr}`);
  }

  async startAgent(name: string): Promise<Program> {
    const env = { MODEL_CREDENTIAL: this.credential };
    const agent = this.keep(run("hoopish-agent", ["start", "--config", this.path(`${name}.yaml`), "--json"], { env }));
    await agent.event(({ event }) => event === "connected");
    return agent;
  }

  /** Signs a person in through the device flow, as they would: the CLI prints a code, a browser page takes it. */
  async signIn(account: Account): Promise<void> {
    const args = ["login", "--server", this.serverUrl, "--insecure-storage", "--no-open", "--json"];
    const login = run("hoopish", args, { env: this.env(account) });
    const code = await login.event<{ event: string; verification_uri_complete: string }>(
      ({ event }) => event === "device_code",
    );
    await this.idp.approveDevice(code.verification_uri_complete, email(account));
    const { code: exit } = await login.ended;
    if (exit !== 0) throw new Error(`hoopish login ended with ${exit}: ${login.stderr}`);
  }

  /** The environment of one person's shell. */
  env(account: Account): Record<string, string> {
    const home = this.path("home", account);
    mkdirSync(home, { recursive: true, mode: 0o700 });
    return { HOME: home, HOOPISH_CONFIG_DIR: join(home, ".hoopish"), HOOPISH_SERVER: this.serverUrl, NO_COLOR: "1" };
  }

  /** Runs a command to its end. */
  async cli(
    account: Account,
    args: readonly string[],
    options: ProgramOptions = {},
  ): Promise<Ended & { stdout: string; stderr: string }> {
    const program = run("hoopish", args, { ...options, env: { ...this.env(account), ...options.env } });
    const ended = await program.ended;
    return { ...ended, stdout: program.stdout, stderr: program.stderr };
  }

  /** `hoopish connect`, once it is ready. */
  async connect(
    account: Account,
    connection: string,
    args: readonly string[] = [],
    options: ProgramOptions = {},
  ): Promise<Connected> {
    const all = ["connect", connection, "--port", "0", "--json", ...args];
    const program = this.keep(run("hoopish", all, { ...options, env: { ...this.env(account), ...options.env } }));
    const ready = await program.event<ReadyEvent>(({ event }) => event === "ready");
    return { program, ...ready, base: `http://127.0.0.1:${ready.port}` };
  }

  /** Takes care of a program: it ends with the world. */
  keep(program: Program): Program {
    this.#programs.add(program);
    return program;
  }

  async close(): Promise<void> {
    const programs = [...this.#programs].reverse();
    for (const program of programs) await program.stop(program.name === "hoopish" ? "SIGINT" : "SIGTERM");
    await this.#model.close();
    await this.idp.close();
    if (this.#options.dir === undefined) rmSync(this.dir, { recursive: true, force: true });
  }

  agentYaml(name: string): string {
    const connection = (id: string): string => `
  - name: ${id}
    target: ${this.modelUrl}
    credential: { header: Authorization, value: "Bearer \${env:MODEL_CREDENTIAL}" }`;
    return `server: ws://127.0.0.1:${this.serverPort}\nname: ${name}\nkeyFile: ${name}.key\nconnections:${["chat", "credit", "raw", "small"].map(connection).join("")}${this.#options.targets ?? ""}\n`;
  }

  /** As `hoopish-server init` makes them; once. */
  #makeKeys(): void {
    if (existsSync(this.path("log.key"))) return;
    writeFileSync(this.path("log.key"), formatLogKey(newLogKey()), { mode: 0o600 });
    writeFileSync(this.path("vault.key"), `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
  }

  /** What auditors are given to check the log with. */
  get vkey(): string {
    const key = parseLogKey(readFileSync(this.path("log.key")));
    return ed25519Signer("gateway.bank.example/hoopish", key).vkey;
  }

  #serverYaml(): string {
    return `listen: 127.0.0.1:${this.serverPort}
publicUrl: http://127.0.0.1:${this.serverPort}
store: ${JSON.stringify(`sqlite:${this.databasePath}`)}
evidence: { origin: gateway.bank.example/hoopish }
identity:
  insecureStorage: true
  issuers:
    - issuer: ${this.idp.issuer}
      clientId: hoopish-cli
      audience: hoopish
      scopes: [openid, profile, email, groups, offline_access]
      claims: { user: email, groups: groups }
roles: { admin: [platform-admins], auditor: [internal-audit] }
connections:${this.#options.connections ?? DEFAULT_CONNECTIONS}
rules:${this.#options.rules ?? DEFAULT_RULES}
${this.#options.serverExtra ?? ""}`;
  }
}

export interface ReadyEvent {
  readonly event: "ready";
  readonly connection: string;
  readonly session: string;
  readonly url: string;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
}

export interface Connected extends ReadyEvent {
  readonly program: Program;
  /** Origin of the local port: `http://127.0.0.1:PORT`. */
  readonly base: string;
}

/** Of the model server: two APIs of it, and one connection that takes anything. */
export const DEFAULT_CONNECTIONS: string = `
  - { name: chat, agent: edge-1, protocol: http, api: openai }
  - { name: credit, agent: edge-1, protocol: http, api: oip }
  - name: raw
    agent: edge-1
    protocol: http
    api: generic
    limits: { requestBytes: 300MiB, responseBytes: 300MiB }`;

const DEFAULT_RULES = `
  - { name: scientists, connections: [chat, credit, raw], groups: [data-science], then: allow }`;

async function modelLibrary(
  credential: string,
): Promise<{ url: string; close(): Promise<unknown>; library: ModelServer }> {
  const library = await startModelServer({ port: 0, credential });
  return { url: library.url, close: () => library.close(), library };
}

async function modelProcess(credential: string): Promise<{ url: string; close(): Promise<unknown> }> {
  const program = run("model-server", ["--port", "0", "--json"], { env: { MODEL_SERVER_CREDENTIAL: credential } });
  const { url } = await program.event<{ url: string }>((event) => event.url !== undefined);
  return { url, close: () => program.stop() };
}
