import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { actorOf, groupsHash } from "./actor.ts";
import { claimAt, groupsAt } from "./claims.ts";

describe("claimAt", () => {
  const claims = {
    groups: ["a"],
    realm_access: { roles: ["b"] },
    "https://bank.example/groups": ["c"],
    "x.y": "literal",
    x: { y: "nested" },
    list: ["d"],
  };
  it.each([
    ["groups", ["a"]],
    ["realm_access.roles", ["b"]],
    ["https://bank.example/groups", ["c"]],
    ["x.y", "literal"],
    ["realm_access.nothing", undefined],
    ["groups.length", 1],
    ["x.y.z", undefined],
    ["__proto__", undefined],
    ["constructor.name", undefined],
    ["toString", undefined],
    ["", undefined],
  ])("%s", (name, value) => {
    expect(claimAt(claims, name)).toEqual(value);
  });
});

describe("groupsAt", () => {
  it("knows the mark of too many groups under the name that is configured", () => {
    const marked = {
      _claim_names: { groups: "src1" },
      _claim_sources: { src1: { endpoint: "https://graph.example" } },
    };
    expect(() => groupsAt(marked, "groups")).toThrow(/too many/);
    expect(() => groupsAt({ ...marked, groups: ["a"] }, "groups")).toThrow(/too many/);
    expect(() => groupsAt(marked, "roles")).toThrow(/too many/);
    expect(groupsAt({ ...marked, roles: ["a"] }, "roles")).toEqual(["a"]);
    expect(() => groupsAt({ _claim_names: { "realm_access.roles": "s" } }, "realm_access.roles")).toThrow(/too many/);
  });
});

describe("actorOf", () => {
  const principal = {
    sub: "u-1",
    issuer: "https://login.bank.example",
    kind: "human",
    user: "ada@bank.example",
    name: "Ada",
    groups: ["b", "a", "ä", "B"],
    amr: undefined,
    expiresAtMs: 0,
  } as const;

  it("is what the record says of who acted", () => {
    expect(actorOf(principal)).toEqual({
      sub: "u-1",
      iss: "https://login.bank.example",
      name: "ada@bank.example",
      groups_hash: createHash("sha256").update("B\na\nb\nä", "utf8").digest("hex"),
      kind: "human",
    });
    expect(actorOf({ ...principal, kind: "service", amr: ["hwk"] })).toMatchObject({ kind: "service", amr: ["hwk"] });
  });

  it("hashes groups without regard to order and repetition; none at all is the hash of nothing", () => {
    expect(groupsHash(["b", "a", "a"])).toBe(groupsHash(["a", "b"]));
    expect(groupsHash(["a", "b"])).not.toBe(groupsHash(["ab"]));
    expect(groupsHash([])).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    // Known answer, of `printf "a\nb" | sha256sum`.
    expect(groupsHash(["a", "b"])).toBe("7e18f737311b2dc3b2f269dd78396b0351f14fb66efa879f768cb23181883c78");
  });
});
