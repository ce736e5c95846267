import { hkdfSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { ed25519Signer, parseLogKey, parseVkey, toHoopishError } from "@hoopish/protocol";
import { Command, CommanderError } from "commander";
import { type Logger, pino } from "pino";
import { presidio } from "./adapters/analyzer/presidio.ts";
import { createAnchors } from "./adapters/anchors/create-anchors.ts";
import { ReceiptFile } from "./adapters/anchors/receipt-file.ts";
import { fileSpools } from "./adapters/files/spool.ts";
import { cursorFile } from "./adapters/notifications/cursor-file.ts";
import { httpSend } from "./adapters/notifications/http-send.ts";
import { answerInSlack } from "./adapters/notifications/slack-answer.ts";
import { openSqliteStore, type SqliteStore } from "./adapters/sqlite/store.ts";
import { check } from "./commands/check.ts";
import { describe } from "./commands/describe-error.ts";
import { grpcSchemas } from "./commands/grpc-schemas.ts";
import { init } from "./commands/init.ts";
import { storeKeys, vkeyOf } from "./commands/keys.ts";
import { mask } from "./commands/mask.ts";
import { coverage, policySimulate, policyTest } from "./commands/policy.ts";
import { reloadOnChange } from "./commands/reload.ts";
import { verify } from "./commands/verify.ts";
import { world } from "./commands/world.ts";
import type { Config } from "./config/config.ts";
import { loadConfig } from "./config/load.ts";
import { webhookKey } from "./config/webhook-key.ts";
import type { Anchor } from "./evidence/anchors/anchor.ts";
import { Anchors } from "./evidence/anchors/anchors.ts";
import { refuseIfBehind } from "./evidence/anchors/start-check.ts";
import type { SignedCheckpoint } from "./evidence/port.ts";
import { actorOf } from "./identity/actor.ts";
import { createIdentity } from "./identity/identity.ts";
import { Outbox } from "./notifications/outbox.ts";
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
    schemaOf: grpcSchemas(config.connections),
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
