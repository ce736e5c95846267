import { createHmac } from "node:crypto";
import type { Notice } from "./notice.ts";
import type { Message } from "./port.ts";
import { APPROVE, DENY, REASON } from "./slack-press.ts";

export type NotifyFormat = "webhook" | "slack" | "teams";

/**
 * A notice as its endpoint reads it.
 * `webhook`: JSON, signed as Standard Webhooks 1.0 says (webhook-id, webhook-timestamp, webhook-signature).
 * `slack`: an incoming webhook's message; `teams`: a message with an Adaptive Card. Whoever knows those addresses may write
 * there, and so they carry no signature.
 * @param id the same at each try, and another for each notice
 */
export function formatNotice(
  notice: Notice,
  id: string,
  to: { readonly format: NotifyFormat; readonly key: Buffer | undefined; readonly buttons?: boolean },
  nowMs: number,
): Message {
  const common = { "content-type": "application/json", "user-agent": "hoopish", "webhook-id": id };
  if (to.format === "slack") return { headers: common, body: json(slackMessage(notice, to.buttons === true)) };
  if (to.format === "teams") return { headers: common, body: json(teamsMessage(notice)) };
  const body = json(notice);
  const timestamp = String(Math.floor(nowMs / 1_000));
  const signed = { "webhook-timestamp": timestamp, "webhook-signature": signature(to.key, id, timestamp, body) };
  return { headers: { ...common, ...signed }, body };
}

function signature(key: Buffer | undefined, id: string, timestamp: string, body: Buffer): string {
  if (key === undefined) throw new TypeError("a webhook without a secret was configured");
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64")}`;
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

function slackMessage(notice: Notice, buttons: boolean): object {
  const { title, facts, command } = words(notice);
  const lines = facts.map(([name, value]) => `*${name}* ${slackText(value)}`);
  const text = [`*${slackText(title)}*`, ...lines, ...(command === undefined ? [] : [`\`${command}\``])].join("\n");
  // `text` is what notifications and screen readers get; no unfurling: nothing here is worth a request to somebody.
  return {
    text: slackText(title),
    blocks: [
      { type: "section", text: { type: "mrkdwn", text: text.slice(0, 3_000), verbatim: true } },
      ...(buttons && notice.type === "approval.requested" ? decisionBlocks(String(notice.data.approval)) : []),
    ],
    unfurl_links: false,
    unfurl_media: false,
  };
}

/** A field for the reason, and two buttons; what they send back names the request by its id alone. */
function decisionBlocks(approval: string): object[] {
  const button = (text: string, action_id: string, style: string): object => ({
    ...{ type: "button", action_id, style, value: approval },
    text: { type: "plain_text", text },
  });
  return [
    {
      type: "input",
      block_id: REASON,
      optional: true,
      label: { type: "plain_text", text: "Reason (a denial needs one; it is recorded)" },
      element: { type: "plain_text_input", action_id: REASON, max_length: 500 },
    },
    { type: "actions", elements: [button("Approve", APPROVE, "primary"), button("Deny", DENY, "danger")] },
  ];
}

/** What a user wrote must not mention a channel, link, or look like ours. */
export const slackText = (text: string): string =>
  oneLine(text)
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/[*_~`]/g, "'");

function teamsMessage(notice: Notice): object {
  const { title, facts, command } = words(notice);
  const card = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    body: [
      { type: "TextBlock", weight: "bolder", wrap: true, text: teamsText(title) },
      { type: "FactSet", facts: facts.map(([name, value]) => ({ title: name, value: teamsText(value) })) },
      ...(command === undefined ? [] : [{ type: "TextBlock", fontType: "monospace", wrap: true, text: command }]),
    ],
  };
  return {
    type: "message",
    attachments: [{ contentType: "application/vnd.microsoft.card.adaptive", contentUrl: null, content: card }],
  };
}

/** Adaptive Cards read some Markdown: links, above all. */
const teamsText = (text: string): string => oneLine(text).replace(/[\\[\]()*_`<>]/g, "'");

const oneLine = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ").slice(0, 500);

const TITLES: Readonly<Record<string, string>> = {
  "approval.requested": "A call waits for approval",
  "approval.granted": "A call was approved",
  "approval.denied": "A call was denied",
  "approval.expired": "A request for approval is over",
  "approval.used": "An approved call went on",
  "approval.reviewed": "A broken glass was reviewed",
  "approval.broke_glass": "Somebody broke the glass: a review is owed",
};

interface Words {
  readonly title: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** What whoever reads it may run; made of ids alone. */
  readonly command: string | undefined;
}

function words({ type, data }: Notice): Words {
  const operation = data.operation as { kind: string; model?: string; rows?: number; tokens?: number } | undefined;
  const asked = operation && [
    operation.kind,
    ...(operation.model === undefined ? [] : [operation.model]),
    ...(operation.rows === undefined ? [] : [`${operation.rows} rows`]),
    ...(operation.tokens === undefined ? [] : [`${operation.tokens} tokens`]),
  ];
  const members = {
    User: data.user,
    By: data.by,
    Connection: data.connection,
    Rule: data.rule,
    Call: asked?.join(", "),
    Reason: data.reason,
    Ticket: data.ticket,
    Until: data.expires ?? data.until,
  };
  const approval = String(data.approval);
  const commands: Readonly<Record<string, string>> = {
    "approval.requested": `hoopish approve ${approval}`,
    "approval.broke_glass": `hoopish review ${approval}`,
  };
  return {
    title: TITLES[type] ?? type,
    facts: Object.entries(members).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
    command: commands[type],
  };
}
