import { isPrivateTransport, parseHttpUrl } from "./endpoints.ts";
import type { Finding, Path } from "./mistake.ts";
import type { View } from "./view.ts";

/** Who can sign in at all, for rules and roles that would otherwise wait for somebody who never comes. */
export interface KnownPrincipals {
  /** False while an issuer is not understood: then nothing can be said. */
  readonly certain: boolean;
  readonly users: boolean;
  readonly groups: boolean;
  readonly services: boolean;
}

const ISSUERS: Path = ["identity", "issuers"];

export function knownPrincipals(view: View): KnownPrincipals {
  const issuers = view.items(ISSUERS);
  const kinds = issuers.map((issuer) => kindOf(view, issuer));
  const people = issuers.filter((_, index) => kinds[index] === "human");
  return {
    certain: issuers.length > 0 && kinds.every((kind) => kind !== undefined),
    users: people.length > 0,
    groups: people.some((issuer) => view.has([...issuer, "claims", "groups"])),
    services: kinds.includes("service"),
  };
}

export function checkIssuers(view: View): Finding[] {
  return [
    ...view.items(ISSUERS).flatMap((issuer) => [...checkUrls(view, issuer), ...checkKind(view, issuer)]),
    ...checkShared(view),
    ...checkOneOfAKind(view),
  ];
}

/**
 * Rules and roles name groups, users and services, and do not say of which issuer: with two issuers of people, the less
 * trusted one could assert the other's groups, the administrators' included. So there is one of each kind.
 */
function checkOneOfAKind(view: View): Finding[] {
  const issuers = view.items(ISSUERS);
  return issuers.flatMap((issuer, index) => {
    const kind = kindOf(view, issuer);
    if (kind === undefined || !issuers.slice(0, index).some((above) => kindOf(view, above) === kind)) return [];
    const whom = kind === "human" ? "people" : "workloads";
    const message = `a second issuer of ${whom} is not built yet in this version: rules cannot tell two issuers apart`;
    return [{ path: issuer, message }];
  });
}

/**
 * Two entries may have one issuer (its people and its workloads), and a token then belongs to the entry that names its
 * client. So each must name clients, no two the same, and all must agree on where the keys are.
 */
function checkShared(view: View): Finding[] {
  const issuers = view.items(ISSUERS);
  return issuers.flatMap((issuer, index) => {
    const text = view.text([...issuer, "issuer"]);
    const same = issuers.filter((other) => text !== undefined && view.text([...other, "issuer"]) === text);
    if (same.length < 2) return [];
    const findings: Finding[] = [];
    const clients = clientPaths(view, issuer);
    const message = "several entries have this issuer: each must name the clients whose tokens it is about";
    if (clients.length === 0 && kindOf(view, issuer) === "service") findings.push({ path: issuer, message });
    const above = same.filter((other) => issuers.indexOf(other) < index);
    const taken = above.flatMap((other) => clientPaths(view, other)).map((path) => view.text(path));
    for (const path of clients) {
      if (!taken.includes(view.text(path))) continue;
      findings.push({ path, message: "another entry above has this issuer and this client" });
    }
    const [first = issuer] = same;
    if (view.text([...first, "jwksUri"]) !== view.text([...issuer, "jwksUri"])) {
      const path = [...issuer, "jwksUri"];
      findings.push({ path, offset: view.keyOffset(path), message: "must be the same in all entries of an issuer" });
    }
    return findings;
  });
}

function clientPaths(view: View, issuer: Path): Path[] {
  const single = [...issuer, "clientId"];
  const paths = [...(view.has(single) ? [single] : []), ...view.items([...issuer, "clients"])];
  return paths.filter((path) => view.text(path) !== undefined);
}

function checkUrls(view: View, issuer: Path): Finding[] {
  const findings: Finding[] = [];
  const path = [...issuer, "issuer"];
  const url = parseHttpUrl(view.text(path) ?? "");
  const jwksPath = [...issuer, "jwksUri"];
  const jwks = parseHttpUrl(view.text(jwksPath) ?? "");
  const insecure =
    "must be https: whoever stands on the way could give keys of his own (http is for this machine only)";
  if (url !== undefined && !isPrivateTransport(url)) findings.push({ path, message: insecure });
  if (jwks !== undefined && !isPrivateTransport(jwks)) findings.push({ path: jwksPath, message: insecure });
  // OpenID Connect Discovery 1.0 §3: an issuer has neither query nor fragment.
  if (url !== undefined && (url.search !== "" || url.hash !== "")) {
    findings.push({ path, message: "an issuer has neither a query nor a fragment" });
  }
  return findings;
}

function checkKind(view: View, issuer: Path): Finding[] {
  const kind = kindOf(view, issuer);
  if (kind === undefined) return [];
  const findings: Finding[] = [];
  const refuse = (key: string, message: string): void => {
    const path = [...issuer, key];
    if (view.has(path)) findings.push({ path, offset: view.keyOffset(path), message });
  };
  if (kind === "service") {
    refuse("clientId", "is for people's issuers; name the clients of a workload issuer in clients: […]");
    refuse("flows", "nobody signs in at a workload issuer: leave flows out");
    refuse("scopes", "nobody signs in at a workload issuer: leave scopes out");
    return findings;
  }
  refuse("clients", "is for workload issuers; people sign in with clientId");
  const missing = (path: Path, message: string): void => {
    if (!view.has(path)) findings.push({ path, offset: view.keyOffset(path.slice(0, -1)), message });
  };
  missing([...issuer, "clientId"], '"clientId" is missing: the client id with which the CLI signs people in');
  const user = '"claims.user" is missing: the claim by which rules name a person, such as email or preferred_username';
  missing([...issuer, "claims", "user"], user);
  const audience = view.text([...issuer, "audience"]);
  if (audience !== undefined && audience === view.text([...issuer, "clientId"])) {
    const message =
      "must differ from clientId: an ID token names the client as its audience and would pass for an access token";
    findings.push({ path: [...issuer, "audience"], message });
  }
  return findings;
}

/** @returns undefined when it cannot be said */
function kindOf(view: View, issuer: Path): "human" | "service" | undefined {
  const path = [...issuer, "kind"];
  if (!view.has(path)) return "human";
  const text = view.text(path);
  return text === "human" || text === "service" ? text : undefined;
}
