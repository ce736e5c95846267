import { HoopishError, isCallId, type PolicyExplanation, policyExplanationSchema } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { runExternal, runServerProgram } from "../external.ts";
import type { Style } from "../terminal/style.ts";
import { details, table } from "../terminal/table.ts";
import { formatTime } from "../terminal/units.ts";
import { apiTime } from "./audit-list.ts";

export interface SimulateOptions {
  readonly since: string;
  readonly until?: string;
  readonly groups?: readonly string[];
}

/** Rules are read by the program that enforces them: two readers would one day read them differently. */
export function checkPolicy(context: Context, file: string): Promise<number> {
  return runServerProgram(context, ["check", "--config", file]);
}

export function testPolicy(context: Context, file: string): Promise<number> {
  return runServerProgram(context, ["policy-test", "--config", file]);
}

export function policyCoverage(context: Context, file: string): Promise<number> {
  return runServerProgram(context, ["coverage", "--config", file]);
}

export interface MaskOptions {
  readonly policy?: string;
  readonly connection?: string;
  readonly findings?: boolean;
  readonly split?: number;
}

/** Text goes through hoopish-server as it comes; its standard input is ours. */
export function tryMask(context: Context, options: MaskOptions): Promise<number> {
  const { policy, connection, findings, split } = options;
  const args = [
    ...(policy === undefined ? [] : ["--config", policy]),
    ...(connection === undefined ? [] : ["--connection", connection]),
    ...(findings === true ? ["--findings"] : []),
    ...(split === undefined ? [] : ["--split", String(split)]),
  ];
  // A finding a line is JSON already.
  return runExternal(context.world, context.interrupts, ["server", "mask", ...args]);
}

/** Recorded calls go from the server's export straight into the rules that are tried; nothing of them is kept. */
export async function simulatePolicy(context: Context, file: string, options: SimulateOptions): Promise<number> {
  const { since, until, groups = [] } = options;
  const query = { since: apiTime(since, context), until: apiTime(until, context), format: "jsonl" };
  const api = await context.api();
  const { body } = await api.stream("/api/v1/audit/export", query);
  const named = groups.flatMap((one) => ["--groups", one]);
  return runServerProgram(context, ["policy-simulate", "--config", file, ...named], body);
}

export async function explainCall(context: Context, id: string): Promise<void> {
  if (!isCallId(id)) {
    throw new HoopishError("usage", `"${id}" is not a call's id`, {
      hint: "hoopish audit list shows them: call_ and 32 hexadecimal digits",
    });
  }
  const api = await context.api();
  const explanation = await api.get(`/api/v1/audit/calls/${id}/explanation`, policyExplanationSchema);
  context.output.show(explanation, (safe, style) => lines(safe, style));
}

function lines({ decided, policy, groups, body, rules, ...call }: PolicyExplanation, style: Style): readonly string[] {
  const by = decided.rule === undefined ? "no rule let it pass" : `by the rule ${decided.rule}`;
  const code = decided.code === undefined ? "" : `, ${decided.code}`;
  const notes = [
    policy.recorded === policy.asked ? undefined : "The rules have changed since: these are today's.",
    groups.from === "token" ? undefined : "The groups are guessed from the rule that let him in: the log has a hash.",
    body ? undefined : "The request's body is not kept, or is not JSON: for rules that look at it, it was empty.",
  ];
  return [
    ...details(
      [
        ["call", call.call],
        ["time", formatTime(call.time)],
        ["user", call.user],
        ["groups", groups.names.join(", ")],
        ["connection", call.connection],
        ["decided", `${decided.verdict}, ${by}${code}`],
      ],
      style,
    ),
    "",
    ...table(
      ["RULE", "THEN", "SPEAKS", "WHY"],
      rules.map((rule) => [
        { text: rule.name, paint: style.strong },
        rule.then,
        rule.matched ? { text: "yes", paint: style.good } : { text: "no", paint: style.faint },
        rule.why,
      ]),
      style,
      "No rule is about this caller here.",
    ),
    ...notes.flatMap((note) => (note === undefined ? [] : [style.faint(note)])),
  ];
}
