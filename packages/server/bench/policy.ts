/** What a verdict costs: `npm run bench:policy -w packages/server`. Prints microseconds a call for a file of 200 rules. */
import type { RuleConfig } from "../src/config/config.ts";
import type { Principal } from "../src/identity/principal.ts";
import { compilePolicy } from "../src/policy/policy.ts";
import { NO_USAGE, type PolicyQuestion } from "../src/policy/question.ts";

const RULES = 200;
const ROUNDS = 20_000;

/** Half of them are about everybody and look at the call; the other half name groups that the caller may be in. */
const rules: RuleConfig[] = Array.from({ length: RULES }, (_, i) => ({
  name: `rule-${i}`,
  connections: i % 4 === 0 ? ["*"] : [`model-${i % 20}`],
  groups: i % 2 === 0 ? [] : [`group-${i % 10}`],
  users: [],
  services: [],
  when: [
    `call.rows > ${1_000 + i}`,
    `call.kind == "admin" && call.path.startsWith("/x${i}")`,
    `user.kind == "service"`,
  ][i % 3],
  verdict: i % 2 === 0 ? "block" : "allow",
})) as RuleConfig[];
rules.push({ name: "all", connections: ["*"], groups: ["staff"], users: [], services: [], verdict: "allow" });
const policy = compilePolicy({ rules, roles: { admin: [], auditor: [] }, timeZone: "UTC" });
const principal: Principal = {
  ...{ sub: "s", issuer: "https://login.bank.example", kind: "human", user: "a@bank.example", name: "A" },
  groups: ["staff", "group-1", "group-3"],
  amr: undefined,
  expiresAtMs: 8e15,
};
const question: PolicyQuestion = {
  principal,
  session: { reason: undefined, ticket: undefined, ageMs: 1_000 },
  connection: { name: "model-4", protocol: "http", api: "oip" },
  call: { kind: "infer", model: "m", rows: 1, method: "POST", path: "/v2/models/m/infer", bytes: 100 },
  request: { headers: [], json: undefined },
  nowMs: 1_700_000_000_000,
  usage: () => NO_USAGE,
};
const times: number[] = [];
for (let i = 0; i < ROUNDS; i++) {
  const start = process.hrtime.bigint();
  const { verdict } = policy.judge(question);
  times.push(Number(process.hrtime.bigint() - start) / 1_000);
  if (verdict !== "allow") throw new Error("the verdict is wrong");
}
times.sort((a, b) => a - b);
const at = (share: number): string => (times[Math.floor(times.length * share)] as number).toFixed(1);
const about = rules.filter(({ connections, groups }) => {
  const here = connections.includes("*") || connections.includes("model-4");
  return here && (groups.length === 0 || groups.some((group) => principal.groups.includes(group)));
}).length;
process.stdout.write(`${rules.length} rules, ${about} about this call: median ${at(0.5)} µs, p99 ${at(0.99)} µs\n`);
