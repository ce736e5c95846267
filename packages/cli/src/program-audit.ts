import { type Command, Option } from "commander";
import { type Choose, example, gathered, positive, speed } from "./program-parts.ts";
import { addRetention } from "./program-retention.ts";
import { RECORD_TYPE_WORDS } from "./record-types.ts";

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
  addSearch(audit, choose);
  addReplay(audit, choose);
  addExport(audit, choose);
  addReport(audit, choose);
  addVerify(audit, choose);
  addReceipt(audit, choose);
  addAuditPin(audit, choose);
  addRetention(audit, choose);
}

function addSearch(audit: Command, choose: Choose): void {
  const search = audit
    .command("search")
    .description("search records of every type, newest first (auditors)")
    .addOption(new Option("--type <type...>", "of these types").choices(RECORD_TYPE_WORDS))
    .option("--user <user>", "of what one person or workload did")
    .option("--connection <name>", "about one connection")
    .option("--session <id>", "of one session")
    .option("--call <id>", "of one call")
    .option("--since <time>", "from: an age such as 24h or 7d, or RFC 3339")
    .option("--until <time>", "up to")
    .option("--limit <n>", "at most so many", positive)
    .option("--cursor <cursor>", "go on where the last page ended");
  example(
    search,
    "hoopish audit search --since 24h --type auth.refused",
    "hoopish audit search --type audit.searched --type audit.exported --user audit@bank.example",
  );
  search.action((options) =>
    choose(async (context) => (await import("./commands/audit-search.ts")).auditSearch(context, options)),
  );
}

function addReport(audit: Command, choose: Choose): void {
  const report = audit.command("report").description("what the log tells about access").helpCommand(false);
  example(report, "hoopish audit report access --since 90d");
  const access = report
    .command("access")
    .description("who could use what, who did, approvals and their reasons, locks; dormant grants and service accounts")
    .requiredOption("--since <time>", "from: an age such as 24h or 7d, or RFC 3339")
    .option("--until <time>", "up to")
    .addOption(
      new Option("--format <format>", "how; with --json a document").choices(["table", "csv"]).default("table"),
    );
  example(access, "hoopish audit report access --since 90d --format csv > access.csv");
  access.action((options) =>
    choose(async (context) => (await import("./commands/audit-report.ts")).accessReport(context, options)),
  );
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

function addVerify(audit: Command, choose: Choose): void {
  const verify = audit
    .command("verify")
    .description("check an exported bundle, offline, with keys that you have from elsewhere")
    .argument("<bundle>", "the file; - is stdin")
    .option("--key <vkey>", "of the log, or of a witness; may be given again", gathered)
    .option("--key-file <file>", "such keys, one a line")
    .option("--checkpoint <file>", "a signed checkpoint that you had before: shows whether the log went back")
    .option("--tsa-certificates <file>", "PEM: the time-stamp authorities that you trust");
  example(
    verify,
    "hoopish audit verify evidence.tar.gz --key 'gateway.bank.example/hoopish+8a1f…+AY…'",
    "hoopish audit verify evidence.tar.gz --key-file log.vkey --checkpoint last-month.note --json",
  );
  verify.action((bundle: string, options) =>
    choose(async (context) => (await import("./commands/audit-verify.ts")).auditVerify(context, bundle, options)),
  );
}

function addReceipt(audit: Command, choose: Choose): void {
  const types = ["call.decided", "call.answered", "call.interrupted"];
  const receipt = audit
    .command("receipt")
    .description("get the proof that a call stands in the log, or check one: anybody can, offline")
    .argument("[call]", "the call; with --check, the one that the receipt must be of")
    .addOption(new Option("--type <type>", "which record of the call").choices(types).default("call.decided"))
    .option("-o, --output <file>", "keep the receipt in a file, for others")
    .option("--force", "replace the file if it is there")
    .addOption(new Option("--check <file>", "verify a receipt: no network, no sign-in").conflicts(["output", "force"]))
    .option("--key <vkey>", "the log's key to verify with, which the server did not tell you");
  example(
    receipt,
    "hoopish audit receipt call_0190… -o receipt.json",
    "hoopish audit receipt --check receipt.json --key 'gateway.bank.example/hoopish+8a1f…+AY…'",
  );
  receipt.action((call: string | undefined, options) =>
    choose(async (context) => {
      if (options.check !== undefined) {
        return (await import("./commands/audit-receipt-check.ts")).auditReceiptCheck(context, call, options);
      }
      if (options.key !== undefined) {
        const { HoopishError } = await import("@hoopish/protocol");
        throw new HoopishError("usage", "--key goes with --check", {
          hint: "to get a receipt, give the key once to hoopish audit pin --key VKEY",
        });
      }
      return (await import("./commands/audit-receipt.ts")).auditReceipt(context, call, options);
    }),
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
