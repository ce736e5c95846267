import type { RateConfig, RuleConfig } from "../config/config.ts";
import type { Charge, PolicyQuestion } from "./question.ts";

/** Charged for a call that asks for no limit: a usual answer's most. */
const TOKENS_WITHOUT_LIMIT = 4_096;

/** What the call would be charged for under this rule. */
export function chargeFor(rule: RuleConfig, rate: RateConfig, { principal, connection, call }: PolicyQuestion): Charge {
  const by = { user: `${principal.issuer}\n${principal.sub}`, connection: connection.name, rule: "" }[rate.by];
  const speaks = call.kind === "chat" || call.kind === "complete";
  return {
    key: `${rule.name}\n${rate.by}\n${by}`,
    perMs: rate.perMs,
    calls: 1,
    rows: call.rows ?? 0,
    tokens: call.tokensRequested ?? (speaks ? TOKENS_WITHOUT_LIMIT : 0),
  };
}

/** Whether the rate would be exceeded with this call. */
export function isExceeded(rule: RuleConfig, rate: RateConfig, question: PolicyQuestion): boolean {
  const { key, perMs, calls, rows, tokens } = chargeFor(rule, rate, question);
  const used = question.usage(key, perMs);
  return (
    used.calls + calls > (rate.calls ?? Number.POSITIVE_INFINITY) ||
    used.rows + rows > (rate.rows ?? Number.POSITIVE_INFINITY) ||
    used.tokens + tokens > (rate.tokens ?? Number.POSITIVE_INFINITY)
  );
}
