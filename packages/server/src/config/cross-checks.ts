import { checkAnchors } from "./anchor-checks.ts";
import { checkConnections } from "./connection-checks.ts";
import { isLoopback, isPrivateTransport, parseHttpUrl, parseListen } from "./endpoints.ts";
import { checkIssuers, knownPrincipals } from "./issuer-checks.ts";
import { checkMasking } from "./masking-checks.ts";
import { type Finding, type Path, printable } from "./mistake.ts";
import { nearMiss } from "./near-miss.ts";
import { checkNotify } from "./notify-checks.ts";
import { checkRetention } from "./retention-checks.ts";
import { checkRule } from "./rule-checks.ts";
import type { Tree } from "./tree.ts";
import { View } from "./view.ts";

/**
 * What one part of the configuration demands of another. Each check looks at the tree and not at what the schema made
 * of it, so that one wrong key does not hide ten other mistakes.
 */
export function crossCheck(tree: Tree): Finding[] {
  const view = new View(tree);
  return [
    ...checkTransport(view),
    ...checkAnchors(view),
    ...checkRetention(view),
    ...checkIssuers(view),
    ...checkRoles(view),
    ...checkDuplicates(view, "connections", "connection"),
    ...checkConnections(view),
    ...checkDuplicates(view, "rules", "rule"),
    ...checkDuplicates(view, "masking", "masking rule"),
    ...view.items(["masking"]).flatMap((rule) => checkConnectionsOf(view, rule)),
    ...checkMasking(view),
    ...checkDuplicates(view, "notify", "endpoint"),
    ...checkNotify(view),
    ...view
      .items(["rules"])
      .flatMap((rule) => [...checkConnectionsOf(view, rule), ...checkWhom(view, rule), ...checkRule(view, rule)]),
  ];
}

/** Tokens and answers cross no network in the clear, and what people are told to dial is what answers. */
function checkTransport(view: View): Finding[] {
  const findings: Finding[] = [];
  const listen = parseListen(view.text(["listen"]) ?? "");
  const url = parseHttpUrl(view.text(["publicUrl"]) ?? "");
  const tls = view.has(["tls"]);
  const proxy = view.flag(["trustProxy"]);
  if (listen !== undefined && !isLoopback(listen.host) && !tls && !proxy) {
    const message =
      "without tls this address would take tokens in the clear: give tls, or trustProxy: true behind a proxy";
    findings.push({ path: ["listen"], message });
  }
  if (url === undefined) return findings;
  const at = (message: string): number => findings.push({ path: ["publicUrl"], message });
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "")
    at("write the origin only: no path, query or fragment");
  if (!isPrivateTransport(url) && !proxy)
    at("must be https, unless it is this machine's own address or trustProxy is set");
  else if (url.protocol === "http:" && tls && !proxy) at("says http, but tls is given: what listens speaks https");
  else if (url.protocol === "https:" && !tls && !proxy) {
    at("says https, but there is no tls here, and no trustProxy: true to say that a proxy has it");
  }
  return findings;
}

function checkDuplicates(view: View, list: string, what: string): Finding[] {
  const seen = new Set<string>();
  return view.items([list]).flatMap((item) => {
    const path = [...item, "name"];
    const name = view.text(path)?.toLowerCase();
    if (name === undefined) return [];
    // Names that differ in case alone would be told apart by the computer and not by the reader of a record.
    const message = `another ${what} above has the name ${view.quoted(path)}`;
    const known = seen.has(name);
    seen.add(name);
    return known ? [{ path, message }] : [];
  });
}

function checkRoles(view: View): Finding[] {
  const principals = knownPrincipals(view);
  return ["admin", "auditor"].flatMap((role) => {
    const path = ["roles", role];
    if (view.isEmptyList(path)) return [];
    const wildcards = refuseWildcards(view, path);
    if (principals.groups || !principals.certain) return wildcards;
    const message = "nobody can ever have this role: no issuer of people has claims.groups";
    return [...wildcards, { path, message, offset: view.keyOffset(path) }];
  });
}

function checkConnectionsOf(view: View, rule: Path): Finding[] {
  const paths = view.items(["connections"]).map((connection) => [...connection, "name"]);
  const names = paths.map((path) => view.text(path));
  // A connection whose name is not known may be the one that is meant.
  if (names.includes(undefined)) return [];
  const near = paths.filter((path) => view.isShowable(path)).flatMap((path) => view.text(path) ?? []);
  return view.items([...rule, "connections"]).flatMap((path) => {
    const name = view.text(path);
    if (name === undefined || name === "*" || names.includes(name)) return [];
    const meant = nearMiss(name, near);
    const help = meant === undefined ? "" : `; did you mean ${printable(meant)}?`;
    return [{ path, message: `there is no connection ${view.quoted(path)}${help}` }];
  });
}

/** Whom a rule is about: somebody, and somebody who can sign in here. */
function checkWhom(view: View, rule: Path): Finding[] {
  const lists = { groups: [...rule, "groups"], users: [...rule, "users"], services: [...rule, "services"] };
  const paths = Object.values(lists);
  if (paths.every((path) => view.isEmptyList(path))) {
    if (view.text([...rule, "then"]) !== "allow") return [];
    return [{ path: rule, message: "this rule names nobody: give it groups, users or services" }];
  }
  const findings = paths.flatMap((path) => refuseWildcards(view, path));
  const principals = knownPrincipals(view);
  const never = (path: Path, why: string): void => {
    if (view.isEmptyList(path) || !principals.certain) return;
    findings.push({ path, offset: view.keyOffset(path), message: `this can never match: ${why}` });
  };
  if (!principals.groups) never(lists.groups, "no issuer of people has claims.groups");
  if (!principals.users) never(lists.users, "there is no issuer of people (kind: human)");
  if (!principals.services) never(lists.services, "there is no issuer of workloads (kind: service)");
  return findings;
}

/** `*` means all connections and would be read as all people; here it is only a strange name. */
function refuseWildcards(view: View, list: Path): Finding[] {
  return view
    .items(list)
    .filter((path) => view.text(path)?.includes("*"))
    .map((path) => ({ path, message: '"*" stands for nobody here: name each one' }));
}
