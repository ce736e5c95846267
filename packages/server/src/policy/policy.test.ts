import { describe, expect, it } from "vitest";
import type { RuleConfig } from "../config/config.ts";
import type { Principal } from "../identity/principal.ts";
import { compilePolicy } from "./policy.ts";
import { NO_USAGE, type PolicyQuestion } from "./question.ts";

const rule = (over: Partial<RuleConfig>): RuleConfig => ({
  name: "r",
  connections: ["credit"],
  groups: [],
  users: [],
  services: [],
  verdict: "allow",
  ...over,
});
const person = (over: Partial<Principal> = {}): Principal => ({
  sub: "u-1",
  issuer: "https://login.bank.example",
  kind: "human",
  user: "scientist@bank.example",
  name: "S",
  groups: ["data-science"],
  amr: undefined,
  expiresAtMs: 0,
  ...over,
});
const question = (
  principal: Principal,
  name = "credit",
  over: Partial<PolicyQuestion["call"]> = {},
): PolicyQuestion => ({
  principal,
  session: { reason: undefined, ticket: undefined, ageMs: 0 },
  connection: { name, protocol: "http", api: "oip" },
  call: { kind: "infer", rows: 1, method: "POST", path: "/v2/models/credit/infer", bytes: 10, ...over },
  request: { headers: [], json: undefined },
  nowMs: Date.parse("2026-03-02T09:30:00Z"),
  usage: () => NO_USAGE,
});
const roles = { admin: ["platform-admins"], auditor: ["internal-audit"] };
const judge = (rules: RuleConfig[], principal: Principal, connection = "credit") =>
  compilePolicy({ rules, roles, timeZone: "UTC" }).judge(question(principal, connection));

describe("policy", () => {
  it("denies where no rule speaks", () => {
    expect(judge([], person())).toMatchObject({ verdict: "block", code: "access_denied" });
    expect(judge([rule({ groups: ["other"] })], person()).verdict).toBe("block");
    expect(judge([rule({ groups: ["data-science"], connections: ["chat"] })], person()).verdict).toBe("block");
  });

  it("allows by group, by user and on every connection, and names the first rule that does", () => {
    expect(judge([rule({ name: "g", groups: ["data-science"] })], person())).toEqual({
      verdict: "allow",
      rule: "g",
      charges: [],
    });
    expect(judge([rule({ name: "u", users: ["scientist@bank.example"] })], person())).toEqual({
      verdict: "allow",
      rule: "u",
      charges: [],
    });
    const both = [
      rule({ name: "all", connections: ["*"], groups: ["data-science"] }),
      rule({ name: "g", groups: ["data-science"] }),
    ];
    expect(judge(both, person())).toEqual({ verdict: "allow", rule: "all", charges: [] });
  });

  it("gives no rights to an administrator as such", () => {
    expect(judge([rule({ groups: ["data-science"] })], person({ groups: ["platform-admins"] })).verdict).toBe("block");
  });

  it("never lets an auditor connect, even where a rule would", () => {
    const both = person({ groups: ["internal-audit", "data-science"] });
    expect(judge([rule({ groups: ["data-science"] })], both)).toMatchObject({
      verdict: "block",
      code: "access_denied",
    });
  });

  it("keeps workloads and people apart, whatever they are called", () => {
    const service = person({ kind: "service", user: "scientist@bank.example", groups: ["data-science"] });
    expect(judge([rule({ groups: ["data-science"], users: ["scientist@bank.example"] })], service).verdict).toBe(
      "block",
    );
    const nightly = person({ kind: "service", user: "credit-nightly", groups: [] });
    expect(judge([rule({ services: ["credit-nightly"] })], nightly).verdict).toBe("allow");
    expect(judge([rule({ services: ["scientist@bank.example"] })], person({ groups: [] })).verdict).toBe("block");
  });

  it("compares names exactly", () => {
    for (const group of ["Data-Science", "data-science ", "data", "*"]) {
      expect(judge([rule({ groups: ["data-science"] })], person({ groups: [group] })).verdict).toBe("block");
    }
  });

  it("has a hash that changes with the rules and the roles, and with nothing else", () => {
    const one = compilePolicy({ rules: [rule({})], roles: roles, timeZone: "UTC" }).hash;
    expect(compilePolicy({ rules: [rule({})], roles: roles, timeZone: "UTC" }).hash).toBe(one);
    expect(compilePolicy({ rules: [rule({ groups: ["x"] })], roles: roles, timeZone: "UTC" }).hash).not.toBe(one);
    expect(compilePolicy({ rules: [rule({})], roles: { ...roles, auditor: [] }, timeZone: "UTC" }).hash).not.toBe(one);
    expect(one).toMatch(/^[0-9a-f]{64}$/);
  });
});
