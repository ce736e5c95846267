import { hkdfSync } from "node:crypto";
import { readFileSync, statSync, watch, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import {
  ed25519Signer,
  formatLogKey,
  HoopishError,
  newLogKey,
  parseLogKey,
  parseVkey,
  type StoredRecord,
  toHoopishError,
} from "@hoopish/protocol";
import { Command, CommanderError } from "commander";
import { type Logger, pino } from "pino";
import { presidio } from "./adapters/analyzer/presidio.ts";
import { createAnchors } from "./adapters/anchors/create-anchors.ts";
import { ReceiptFile } from "./adapters/anchors/receipt-file.ts";
import { fileSpools } from "./adapters/files/spool.ts";
import { cursorFile } from "./adapters/notifications/cursor-file.ts";
import { httpSend } from "./adapters/notifications/http-send.ts";
import { answerInSlack } from "./adapters/notifications/slack-answer.ts";
import type { StoreKeys } from "./adapters/sqlite/database.ts";
import { openSqliteStore, type SqliteStore } from "./adapters/sqlite/store.ts";
import { verifyStore } from "./adapters/sqlite/verify/verify-store.ts";
import type { Config } from "./config/config.ts";
import { initConfig } from "./config/init.ts";
import { newVaultKeyFile, parseVaultKey } from "./config/key-files.ts";
import { checkConfig, loadConfig } from "./config/load.ts";
import { configurationError, formatMistake } from "./config/mistake.ts";
import { webhookKey } from "./config/webhook-key.ts";
import { coverageOf } from "./coverage.ts";
import type { Anchor } from "./evidence/anchors/anchor.ts";
import { Anchors } from "./evidence/anchors/anchors.ts";
import { refuseIfBehind } from "./evidence/anchors/start-check.ts";
import type { SignedCheckpoint } from "./evidence/port.ts";
import { actorOf } from "./identity/actor.ts";
import { createIdentity } from "./identity/identity.ts";
import { maskText, planFor } from "./mask-command.ts";
import { Outbox } from "./notifications/outbox.ts";
import { compilePolicy } from "./policy/policy.ts";
import { runPolicyTests } from "./policy/run-tests.ts";
import { Simulator } from "./policy/simulate.ts";
import { type HoopishServer, startServer } from "./server.ts";

const VERSION = (JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string })
  .version;

/** Composition root of `hoopish-server`: the only reader of argv, environment, clock and files. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command("hoopish-server")
    .description("The hoopish server: decides who may call which model, records every call, holds no credential.")
    .version(VERSION)
    .exitOverride()
    .addHelpText(
      "after",
      "\nExample:\n  hoopish-server init > server.yaml\n  hoopish-server start --config server.yaml",
    );
  program
    .command("start")
    .description("run until SIGTERM or SIGINT")
    .requiredOption("--config <file>", "the server's configuration (YAML)")
    .option("--json", "print events as JSON lines")
    .action((options: { config: string; json?: boolean }) => start(options.config, options.json === true));
  program
    .command("check")
    .description("say every mistake in a configuration, with line and column; exit 78 when there is one")
    .requiredOption("--config <file>", "the configuration to check")
    .option("--json", "print one JSON document")
    .action((options: { config: string; json?: boolean }) => check(options.config, options.json === true));
  program
    .command("policy-test")
    .description("run the tests that stand beside the rules; exit 1 when one fails")
    .requiredOption("--config <file>", "the configuration with rules and tests")
    .option("--json", "print one JSON document")
    .action((options: { config: string; json?: boolean }) => policyTest(options.config, options.json === true));
  program
    .command("policy-simulate")
    .description("what these rules would have said of recorded calls: an export in jsonl on standard input")
    .requiredOption("--config <file>", "the configuration whose rules are tried")
    .option(
      "--groups <user=group,group...>",
      "who is in which groups: the log holds only a hash",
      (one, all: string[]) => [...all, one],
      [],
    )
    .option("--json", "print one JSON document")
    .addHelpText(
      "after",
      "\nExample:\n  hoopish audit export --since 7d --format jsonl | hoopish-server policy-simulate --config stricter.yaml",
    )
    .action((options: { config: string; groups: string[]; json?: boolean }) =>
      policySimulate(options.config, options.groups, options.json === true),
    );
  program
    .command("mask")
    .description("try the masking: text on standard input, masked on standard output")
    .option("--config <file>", "with the masking rules for answers of this configuration; else with every detector")
    .option("--connection <name>", "those of one connection")
    .option("--findings", "print what was found instead, one JSON object a line (offsets in UTF-16 units)")
    .option("--split <n>", "feed the text in pieces of so many characters: the result must be the same", Number)
    .action((options: { config?: string; connection?: string; findings?: boolean; split?: number }) => mask(options));
  program
    .command("coverage")
    .description("what of each connection's traffic is looked into, and what is not")
    .requiredOption("--config <file>", "the server's configuration (YAML)")
    .option("--json", "print one JSON document")
    .action((options: { config: string; json?: boolean }) => coverage(options.config, options.json === true));
  program
    .command("init")
    .description("print a commented configuration to start from, and make the log's and the vault's key in this folder")
    .option("--no-keys", "make no keys")
    .action((options: { keys: boolean }) => init(options.keys));
  program
    .command("vkey")
    .description("print the log's verifier key: what auditors check the log with")
    .requiredOption("--config <file>", "the server's configuration (YAML)")
    .action((options: { config: string }) => {
      const { evidence } = loadConfig(options.config, world);
      process.stdout.write(`${vkeyOf(evidence.origin, readFileSync(evidence.keyFile))}\n`);
    });
  program
    .command("verify")
    .description("read the whole store and compare it with everything that was signed; exit 1 when something is wrong")
    .requiredOption("--config <file>", "the server's configuration (YAML)")
    .option("--no-tables", "the log alone, not the tables that searches read; twice as fast")
    .option("--json", "print one JSON document")
    .action((options: { config: string; tables: boolean; json?: boolean }) =>
      verify(options.config, options.tables, options.json === true),
    );
  try {
    await program.parseAsync(argv as string[]);
  } catch (thrown) {
    process.exitCode = exitCode(thrown, argv.includes("--json"));
  }
}

function exitCode(thrown: unknown, json: boolean): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 3;
  const error = toHoopishError(thrown);
  if (json) process.stderr.write(`${JSON.stringify(error.toBody())}\n`);
  else
    process.stderr.write(
      `hoopish-server: ${error.message}\n${error.hint === undefined ? "" : `  try: ${error.hint}\n`}`,
    );
  return error.shape.exit;
}

/** What the configuration may read besides itself. */
const world = { env: process.env, readFile: (path: string): Buffer => readFileSync(path) };

function check(file: string, json: boolean): void {
  const checked = checkConfig(file, world);
  const mistakes = "mistakes" in checked ? checked.mistakes : [];
  if (json) process.stdout.write(`${JSON.stringify({ ok: mistakes.length === 0, mistakes })}\n`);
  else if (mistakes.length > 0) throw configurationError(mistakes);
  else process.stdout.write(`${file}: no mistakes\n`);
  process.exitCode = mistakes.length === 0 ? 0 : 78;
}

async function mask(options: {
  config?: string;
  connection?: string;
  findings?: boolean;
  split?: number;
}): Promise<void> {
  const { config, connection, findings = false, split } = options;
  if (split !== undefined && !(Number.isInteger(split) && split > 0)) {
    throw new HoopishError("usage", "--split takes a whole number of at least 1", { hint: "--split 1" });
  }
  const plan = planFor(config === undefined ? undefined : loadConfig(config, world), connection);
  await maskText(process.stdin, plan, { findings, split }, (text) => void process.stdout.write(text));
}

function coverage(file: string, json: boolean): void {
  const all = coverageOf(loadConfig(file, world));
  if (json) {
    process.stdout.write(`${JSON.stringify({ connections: all })}\n`);
    return;
  }
  for (const { connection, request, response, notInspected, uninspectable } of all) {
    process.stdout.write(`${connection}\n`);
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

function policyTest(file: string, json: boolean): void {
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

async function policySimulate(file: string, named: readonly string[], json: boolean): Promise<void> {
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

/** The configuration goes to standard output, everything else to standard error. A key that is there is never touched. */
function init(keys: boolean): void {
  process.stdout.write(initConfig());
  if (!keys) return;
  const made = [
    ["log.key", formatLogKey(newLogKey())],
    ["vault.key", newVaultKeyFile()],
  ].flatMap(([path = "", content = ""]) => {
    try {
      writeFileSync(path, content, { flag: "wx", mode: 0o600 });
      return [path];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return [];
      throw new HoopishError("configuration", `${path} cannot be written here: ${(error as Error).message}`);
    }
  });
  if (made.length > 0)
    process.stderr.write(`hoopish-server: made ${made.join(" and ")}; keep copies away from this machine\n`);
  else process.stderr.write("hoopish-server: log.key and vault.key are here already, and stay as they are\n");
}

/** Beside a running server or without one; it changes nothing. */
function verify(file: string, tables: boolean, json: boolean): void {
  const { store, evidence } = loadConfig(file, world);
  const startMs = performance.now();
  const verdict = verifyStore({ path: store.path, keys: storeKeys(evidence), tables });
  const { records, checkpoints, findings } = verdict;
  const ok = findings.length === 0;
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  if (json) process.stdout.write(`${JSON.stringify({ ok, ...verdict })}\n`);
  else {
    for (const { message } of findings) process.stdout.write(`✗ ${message}\n`);
    if (ok) process.stdout.write(`${records} records fit ${checkpoints} signed checkpoints (${seconds} s)\n`);
  }
  process.exitCode = ok ? 0 : 1;
}

const vkeyOf = (origin: string, pem: Buffer): string => ed25519Signer(origin, parseLogKey(pem)).vkey;

/** The two key files. @throws HoopishError configuration when one was changed since the configuration was checked */
function storeKeys({ origin, keyFile, vaultKeyFile, previousKeys }: Config["evidence"]): StoreKeys {
  const vault = parseVaultKey(readFileSync(vaultKeyFile));
  if (vault === undefined) throw new HoopishError("configuration", `${vaultKeyFile} holds no vault key`);
  return { vault, log: { origin, privateKey: readFileSync(keyFile, "utf8"), previous: previousKeys } };
}

async function start(file: string, json: boolean): Promise<void> {
  const config = loadConfig(file, world);
  const logger = pino({ level: config.logLevel, base: { program: "hoopish-server" } }, pino.destination(2));
  const report = (error: unknown): void => logger.error({ error: describe(error) }, "an error that no caller sees");
  const keys = storeKeys(config.evidence);
  const { vkey } = ed25519Signer(keys.log.origin, parseLogKey(keys.log.privateKey));
  const anchors = createAnchors(config, {
    now: Date.now,
    consistency: (from, to) => store.tree.consistency(from, to),
  });
  const store: SqliteStore = await openSqliteStore({
    path: config.store.path,
    replica: hostname(),
    keys,
    beforeSigning: ({ size, root, consistency }) =>
      refuseIfBehind(
        anchors,
        {
          origin: keys.log.origin,
          size,
          root: Buffer.from(root),
          verifiers: [vkey, ...config.evidence.previousKeys].map(parseVkey),
          consistency,
        },
        { warn: (anchor, error) => logger.warn({ anchor, error: describe(error) }, "this anchor could not be asked") },
      ),
  });
  const receipts = new ReceiptFile(join(dirname(config.store.path), "receipts"), Date.now);
  const published = publishing(store, anchors, receipts, config, logger);
  const { calls, sessions, records, gap } = store.recovered;
  if (gap === true)
    logger.error("files of the store's intake were missing: records that were durable there alone are lost");
  if (calls + sessions + records > 0)
    logger.warn({ calls, sessions, records }, "ended in the log what a crash had left open");
  const outboxes = openOutboxes(config, store, logger);
  const server = await startServer(config, {
    approvalsChanged: () => {
      for (const outbox of outboxes) outbox.wake();
    },
    analyzerOf: presidio,
    maskKey: Buffer.from(hkdfSync("sha256", keys.vault, "", "hoopish masking", 32)),
    answerInChat: (endpoint, responseUrl, words) =>
      answerInSlack(endpoint, responseUrl, words, (name, error) =>
        logger.warn({ endpoint: name, error: describe(error) }, "this chat did not take an answer"),
      ),
    identity: createIdentity(config.identity.issuers, { clockToleranceSeconds: config.identity.clockToleranceSeconds }),
    actorOf,
    log: store.log,
    reader: store.reader,
    tree: store.tree,
    anchors: published,
    receipts: (untilMs) => receipts.newest(untilMs),
    openSpool: fileSpools(dirname(config.store.path)),
    agents: store.agents,
    retention: store.retention,
    now: Date.now,
    report,
    version: VERSION,
  }).catch(async (error: unknown) => {
    await closeAll(outboxes);
    await store.close();
    await published.close();
    throw error;
  });
  if (json) process.stdout.write(`${JSON.stringify({ event: "listening", url: server.url })}\n`);
  logger.info({ url: server.url }, "listening");
  reloadOnChange(file, config, server, logger);
  stopOnSignal(
    server,
    {
      close: () =>
        closeAll(outboxes)
          .then(() => store.close())
          .finally(() => published.close()),
    },
    logger,
  );
}

/** One for each endpoint; its place in the log stands in a file beside the store. */
function openOutboxes({ notify, store: { path } }: Config, store: SqliteStore, logger: Logger): Outbox[] {
  const { size } = store.tree.newest();
  return notify.map(
    ({ name, url, format, secret, events, interactive }) =>
      new Outbox({
        ...{ name, format, events, logSize: size, now: Date.now, reader: store.reader, send: httpSend(new URL(url)) },
        buttons: interactive !== undefined,
        key: secret === undefined ? undefined : webhookKey(secret),
        cursor: cursorFile(join(dirname(path), "notify", `${name}.json`)),
        failed: (endpoint, error, consecutive) =>
          logger.warn({ endpoint, consecutive, error: describe(error) }, "this endpoint did not take a notice"),
      }),
  );
}

async function closeAll(outboxes: readonly Outbox[]): Promise<void> {
  await Promise.all(outboxes.map((outbox) => outbox.close()));
}

/** Every checkpoint that is signed goes to the anchors. */
function publishing(
  store: SqliteStore,
  anchors: readonly Anchor[],
  receipts: ReceiptFile,
  config: Config,
  logger: Logger,
): Anchors {
  const published = new Anchors(anchors, {
    now: Date.now,
    report: ({ anchor, error, consecutive }) =>
      logger.warn({ anchor, consecutive, error: describe(error) }, "this anchor did not take a checkpoint"),
    keep: (anchor, receipt) => receipts.keep(anchor, receipt),
  });
  const publish = ({ note, size, root }: SignedCheckpoint): void => {
    const checkpoint = { origin: config.evidence.origin, size: BigInt(size), root: Buffer.from(root), extensions: [] };
    published.publish(note, checkpoint);
  };
  store.tree.onSigned(publish);
  publish(store.tree.newest());
  return published;
}

/** Editors write a file in several steps: what stands there when they are done is what counts. */
const SETTLE_MS = 300;

/** SIGHUP, or a file that changes: the rules are read anew. One that is not good changes nothing, and is said loudly. */
function reloadOnChange(file: string, config: Config, server: HoopishServer, logger: Logger): void {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let last = "";
  const reload = (by: string): void => {
    running = running
      .then(() => reloadPolicy(by))
      .catch((error: unknown) => {
        logger.error({ error: describe(error) }, "the rules could not be read anew");
      });
  };
  const reloadPolicy = async (by: string): Promise<void> => {
    const checked = checkConfig(file, world);
    if ("mistakes" in checked) {
      const reason = checked.mistakes.map(formatMistake).join("\n");
      // A file that is being written changes many times; each state of it is complained of once.
      if (reason === last && by !== "SIGHUP") return;
      last = reason;
      logger.error(
        { by, mistakes: checked.mistakes },
        "the changed configuration is not good: the rules in force stay",
      );
      await server.refuseReload(reason, by);
      return;
    }
    last = "";
    const stale = needsRestart(config, checked.config);
    if (stale.length > 0) logger.warn({ keys: stale }, "these changes come into force with a restart");
    if (await server.reload(checked.config, by)) logger.info({ by }, "other rules are in force");
  };
  process.on("SIGHUP", () => reload("SIGHUP"));
  // By name in its folder: editors and Kubernetes put another file in its place.
  const watcher = watch(dirname(resolve(file)), () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const changed = statSync(file, { throwIfNoEntry: false });
      const stamp = changed === undefined ? "" : `${changed.ino} ${changed.mtimeMs} ${changed.size}`;
      if (stamp !== seen && changed !== undefined) reload("the file changed");
      seen = stamp;
    }, SETTLE_MS).unref();
  });
  const first = statSync(file);
  let seen = `${first.ino} ${first.mtimeMs} ${first.size}`;
  watcher.on("error", (error) =>
    logger.warn({ error: describe(error) }, "the configuration's folder cannot be watched"),
  );
  watcher.unref();
}

/** Top-level keys whose change a running server does not take. */
function needsRestart(old: Config, next: Config): string[] {
  const live: ReadonlySet<string> = new Set(["rules", "roles", "timeZone", "tests"]);
  const keys = Object.keys(next) as (keyof Config)[];
  return keys.filter((key) => !live.has(key) && JSON.stringify(old[key]) !== JSON.stringify(next[key]));
}

function stopOnSignal(server: HoopishServer, store: { close(): Promise<void> }, logger: Logger): void {
  let stopping = false;
  const stop = (signal: string): void => {
    // The second signal means: now.
    if (stopping) process.exit(1);
    stopping = true;
    logger.info({ signal }, "draining");
    server
      .stop(signal)
      .then(() => store.close())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          logger.error({ error: describe(error) }, "the end was not clean");
          process.exit(1);
        },
      );
  };
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
}

/** Name, message and place of an error. Causes' own fields (which may hold what somebody sent) stay out. */
function describe(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const cause = error.cause instanceof Error ? { cause: `${error.cause.name}: ${error.cause.message}` } : {};
  const code = error instanceof HoopishError ? { code: error.code } : {};
  return { name: error.name, message: error.message, stack: error.stack, ...code, ...cause };
}
