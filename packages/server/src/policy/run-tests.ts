import type { ConnectionConfig, PolicyTestConfig } from "../config/config.ts";
import type { Principal } from "../identity/principal.ts";
import type { Policy } from "./policy.ts";
import { NO_USAGE, type PolicyQuestion } from "./question.ts";

export interface PolicyTestResult {
  readonly ok: boolean;
  /** As the test says it, and as the rules do: `hold (bulk-prediction)`. */
  readonly expected: string;
  readonly got: string;
}

/** Runs the tests that stand beside the rules. Rates have counted nothing before each of them. */
export function runPolicyTests(
  tests: readonly PolicyTestConfig[],
  policy: Policy,
  connections: readonly ConnectionConfig[],
  nowMs: number,
): PolicyTestResult[] {
  return tests.map((test) => {
    const connection = connections.find(({ name }) => name === test.connection);
    const expected = told(test.expect, test.rule);
    if (connection === undefined) return { ok: false, expected, got: `there is no connection ${test.connection}` };
    const { verdict, rule } = policy.judge(questionOf(test, connection, nowMs));
    const ok = verdict === test.expect && (test.rule === undefined || rule === test.rule);
    return { ok, expected, got: told(verdict, rule) };
  });
}

const told = (verdict: string, rule: string | undefined): string =>
  rule === undefined ? verdict : `${verdict} (${rule})`;

function questionOf(test: PolicyTestConfig, connection: ConnectionConfig, nowMs: number): PolicyQuestion {
  const { user, groups, kind } = test.as;
  const principal: Principal = {
    ...{ sub: user, issuer: "policy test", kind, user, name: user, groups, amr: undefined },
    expiresAtMs: Number.MAX_SAFE_INTEGER,
  };
  return {
    principal,
    session: { reason: test.session.reason, ticket: test.session.ticket, ageMs: 0 },
    connection,
    call: { method: "POST", path: "/", bytes: 0, ...test.call },
    request: { headers: [], json: test.json },
    nowMs: test.time === undefined ? nowMs : Date.parse(test.time),
    usage: () => NO_USAGE,
  };
}
