import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import OpenAI from "openai";
import type { Account, Connected, World } from "../world/world.ts";
import { grpcAndSql } from "./protocols.ts";
import { command, output, say, step } from "./screen.ts";

/** What the credit model is asked about: its inputs, by name. */
const APPLICANT = {
  annual_income: 52_000,
  debt_to_income: 0.41,
  credit_utilization: 0.62,
  delinquencies_2y: 1,
  history_years: 9,
  loan_amount: 18_000,
  inquiries_6m: 2,
  employment_years: 4,
};

/** The scripted tour: each step is what a person would do, with the real programs. */
export async function tour(world: World): Promise<void> {
  step("A scientist signs in with the bank's identity provider (device flow)");
  command("hoopish login");
  await world.signIn("scientist");
  const whoami = await shown(world, "scientist", ["whoami"]);
  if (!whoami.includes("scientist@bank.example")) throw new Error("the sign-in did not take");
  await shown(world, "scientist", ["connections"]);

  await creditInference(world);
  await streamedChat(world);
  await grpcAndSql(world);
  await heldInference(world);
  await lockedUser(world);
  await refusedUser(world);
  await auditorsView(world);
  await examinersView(world);
}

async function creditInference(world: World): Promise<void> {
  step("A credit inference, by the Open Inference Protocol, through a local port");
  command('hoopish connect credit --reason "monthly check"');
  const credit = await world.connect("scientist", "credit", ["--reason", "monthly check"]);
  say(`ready: ${credit.base}`);
  const metadata = (await (await fetch(`${credit.base}/v2/models/credit`)).json()) as { inputs: { name: string }[] };
  say(`the model's inputs: ${metadata.inputs.map(({ name }) => name).join(", ")}`);
  const inputs = Object.entries(APPLICANT).map(([name, value]) => ({
    name,
    shape: [1],
    datatype: "FP64",
    data: [value],
  }));
  const answer = await fetch(`${credit.base}/v2/models/credit/infer`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ inputs }),
  });
  output(`HTTP ${answer.status}  hoopish-call: ${answer.headers.get("hoopish-call")}\n${await answer.text()}`);
  if (!answer.ok) throw new Error("the inference failed");
  await closed(credit);
}

async function streamedChat(world: World): Promise<void> {
  step("A streamed chat with the openai SDK; nothing changed but the base URL");
  command("hoopish connect chat -- node notebook.js");
  const chat = await world.connect("scientist", "chat");
  const openai = new OpenAI({ baseURL: chat.env.OPENAI_BASE_URL ?? "", apiKey: chat.env.OPENAI_API_KEY ?? "hoopish" });
  const models = await openai.models.list();
  const model = models.data[0]?.id ?? "";
  const stream = await openai.chat.completions.create({
    model,
    stream: true,
    messages: [{ role: "user", content: "Tell me about applicant 42." }],
  });
  let text = "";
  let events = 0;
  for await (const event of stream) {
    events += 1;
    text += event.choices[0]?.delta.content ?? "";
  }
  output(`${text}`);
  say(`(${events} events, each delivered as it was made; what was masked left the server in no piece of it)`);
  if (!text.includes("[US_SSN]") || !text.includes("[CREDIT_CARD]")) throw new Error("the answer was not masked");
  await closed(chat);
}

/** The demo's rules: scientists may, bulk predictions wait for a risk officer, and nobody changes the model repository. */
export const DEMO_RULES: string = `
  - { name: scientists, connections: [chat, credit, raw, scores, features], groups: [data-science], then: allow }
  - name: bulk-prediction
    connections: ["*"]
    when: call.rows > 100
    then: hold
    approval: { groups: [risk-officers], quorum: 1, wait: 2m, expires: 1h }
  - name: no-repository-admin
    connections: ["*"]
    when: 'call.kind == "admin"'
    then: block
    message: "Model repository changes go through release."
  - name: no-wiping
    connections: ["*"]
    when: 'call.kind in ["delete_without_where", "update_without_where", "truncate", "ddl", "do", "call"]'
    then: block
    message: "Changes of whole tables go through release."`;

/** And what nobody is told. */
export const DEMO_MASKING: string = `masking:
  - name: answers
    connections: [chat, scores, features]
    direction: response
    detect: [US_SSN, CREDIT_CARD, EMAIL, PHONE, IBAN, US_BANK_ACCOUNT, ABA_ROUTING, DATE_OF_BIRTH, STREET_ADDRESS, PERSON]
    action: redact
`;

/** Rows that no rule lets pass without a human. */
const BULK_ROWS = 5_000;

async function heldInference(world: World): Promise<void> {
  step("A bulk prediction waits for a risk officer; a repository change is blocked");
  await world.signIn("risk1");
  const credit = await world.connect("scientist", "credit", ["--reason", "monthly run", "--ticket", "CHG-1042"]);
  const inputs = Object.entries(APPLICANT).map(([name, value]) => ({
    name,
    shape: [BULK_ROWS],
    datatype: "FP64",
    data: new Array<number>(BULK_ROWS).fill(value),
  }));
  const headers = { "content-type": "application/json" };
  const asked = { method: "POST", headers, body: JSON.stringify({ inputs }) };
  const answer = fetch(`${credit.base}/v2/models/credit/infer`, asked);
  const waiting = await credit.program.event<{ event: string; approval: string }>(
    ({ event }) => event === "waiting_approval",
  );
  await shown(world, "risk1", ["requests", waiting.approval]);
  await shown(world, "risk1", ["approve", waiting.approval, "--reason", "monthly run, CHG-1042"]);
  const { status, headers: answered } = await answer;
  output(`HTTP ${status}  hoopish-call: ${answered.get("hoopish-call")}  hoopish-approval: ${waiting.approval}`);
  if (status !== 200) throw new Error("the approved call did not go on");
  const blocked = await fetch(`${credit.base}/v2/repository/models/credit/unload`, { method: "POST" });
  output(`POST /v2/repository/models/credit/unload: HTTP ${blocked.status}\n${await blocked.text()}`);
  if (blocked.status !== 403) throw new Error("the repository change was not blocked");
  await closed(credit);
}

async function lockedUser(world: World): Promise<void> {
  step("A lock ends a chat in the middle");
  const chat = await world.connect("scientist", "chat");
  const asked = JSON.stringify({
    model: "hoopish-chat",
    stream: true,
    messages: [{ role: "user", content: "write 5000 words" }],
  });
  const headers = { "content-type": "application/json", "x-test-token-delay": "20" };
  const answer = await fetch(`${chat.base}/v1/chat/completions`, { method: "POST", headers, body: asked });
  const ended = answer.text().catch(() => "cut");
  await shown(world, "platform", ["lock", "scientist@bank.example", "--reason", "laptop lost"]);
  if ((await ended) !== "cut") throw new Error("the chat was not cut");
  say("the stream was cut, and the model's work with it");
  await shown(world, "platform", ["unlock", "scientist@bank.example", "--reason", "found again"]);
}

async function refusedUser(world: World): Promise<void> {
  step("A contractor in no group signs in, and gets nothing");
  await world.signIn("contractor");
  await shown(world, "contractor", ["connections"]);
  const refused = await world.cli("contractor", ["connect", "chat", "--port", "0"]);
  command("hoopish connect chat");
  output(`${refused.stderr}exit code ${refused.code}`);
  if (refused.code !== 5) throw new Error("the contractor was not refused as he should be");
}

async function auditorsView(world: World): Promise<void> {
  step("Internal audit reads what happened");
  await world.signIn("audit");
  await shown(world, "audit", ["audit", "list", "--since", "1h"]);
  const bundle = ["audit", "export", "--since", "1h", "--format", "bundle", "-o", world.path("evidence.tar.gz")];
  await shown(world, "audit", bundle);
}

/** Nothing of this needs the server, and the key did not come from it. */
async function examinersView(world: World): Promise<void> {
  step("An examiner checks it alone: offline, with the log's public key from another source");
  const bundle = world.path("evidence.tar.gz");
  await shown(world, "audit", ["audit", "verify", bundle, "--key", world.vkey]);
  const edited = readFileSync(bundle);
  const middle = Math.floor(edited.length / 2);
  edited[middle] = (edited[middle] ?? 0) ^ 1;
  writeFileSync(world.path("edited.tar.gz"), edited);
  say("and the same file with one bit changed:");
  command("hoopish audit verify edited.tar.gz --key …");
  const refused = await world.cli("audit", ["audit", "verify", world.path("edited.tar.gz"), "--key", world.vkey]);
  output(`${refused.stdout}${refused.stderr}exit code ${refused.code}`);
  if (refused.code !== 1) throw new Error("the changed bundle was not refused as it should be");
}

async function shown(world: World, account: Account, args: readonly string[]): Promise<string> {
  command(`hoopish ${args.map((arg) => (arg.startsWith("/") ? basename(arg) : arg)).join(" ")}`);
  const { code, stdout, stderr } = await world.cli(account, args);
  output(`${stdout}${stderr}`);
  if (code !== 0) throw new Error(`hoopish ${args[0]} ended with ${code}`);
  return stdout;
}

async function closed(connected: Connected): Promise<void> {
  const { code } = await connected.program.stop("SIGINT");
  if (code !== 0 && code !== 130) throw new Error(`hoopish connect ended with ${code}`);
}
