import type { HeaderList } from "@hoopish/protocol";
import type { CredentialPlace } from "../config/config.ts";
import type { AppliedCredential } from "../credential/credential.ts";

/** Fields that speak of one hop only (RFC 9110 section 7.6.1); what `connection` names besides is dropped with them. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/** Besides, in a request: the target's host is fixed, the length is the body's, and nothing waits for a 100. */
const NEVER_SENT: ReadonlySet<string> = new Set([...HOP_BY_HOP, "host", "content-length", "expect"]);

/** Stands in an answer's header where the model server repeated the credential. */
export const CREDENTIAL_MARK = "[credential]";

/** What the request's headers say beyond being passed on. */
export interface RequestHeaders {
  readonly list: string[];
  /** The caller asks for another protocol on this connection. */
  readonly upgrade: boolean;
  /** The body announces trailers. */
  readonly trailer: boolean;
}

/** A call's headers as they go to the model server. The server has dropped most of this already; here nothing relies on it. */
export function requestHeaders(headers: HeaderList, credential: AppliedCredential | undefined): RequestHeaders {
  const list: string[] = [];
  const replaced = credential?.header?.[0];
  let named: string[] | undefined;
  let upgrade = false;
  let trailer = false;
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = (headers[at] as string).toLowerCase();
    const value = headers[at + 1] as string;
    if (name === replaced) continue;
    if (!NEVER_SENT.has(name)) {
      if (name === "trailer") trailer = true;
      list.push(name, value);
    } else if (name === "upgrade") upgrade = true;
    else if (name === "connection") named = addNamed(named, value);
    // The one coding of TE that is about the message and not about the hop.
    else if (name === "te" && /(^|,)\s*trailers\s*(,|;|$)/i.test(value)) list.push("te", "trailers");
  }
  if (named !== undefined) dropNamed(list, named);
  if (credential?.header !== undefined) list.push(credential.header[0], credential.header[1]);
  return { list, upgrade, trailer };
}

/**
 * A request's trailers, without the fields that a trailer may not carry (RFC 9110 section 6.5.1): a server that merges
 * them into its headers would take another length, host or credential from there.
 */
export function requestTrailers(trailers: HeaderList, credential: CredentialPlace | undefined): HeaderList {
  const list: string[] = [];
  const own = credential?.kind === "header" ? credential.name : undefined;
  for (let at = 0; at + 1 < trailers.length; at += 2) {
    const name = (trailers[at] as string).toLowerCase();
    if (NEVER_SENT.has(name) || NEVER_TRAILING.has(name) || name === own) continue;
    list.push(name, trailers[at + 1] as string);
  }
  return list;
}

const NEVER_TRAILING: ReadonlySet<string> = new Set([
  "authorization",
  "content-encoding",
  "content-range",
  "content-type",
  "cookie",
  "trailer",
]);

/** An answer's headers as undici gives them: names in lower case, a list where a name was repeated. */
export type AnswerFields = Readonly<Record<string, string | string[] | undefined>>;

/** An answer's headers (or trailers) as they go to the server, with the credential blotted out where it is echoed. */
export function answerHeaders(fields: AnswerFields, credential: AppliedCredential | undefined): HeaderList {
  const list: string[] = [];
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (value === undefined || HOP_BY_HOP.has(name)) continue;
    if (typeof value === "string") list.push(name, cleared(value, credential));
    else for (const one of value) list.push(name, cleared(one, credential));
  }
  const { connection } = fields;
  if (connection !== undefined && connection !== "keep-alive" && connection !== "close") {
    const named = [connection].flat().reduce<string[] | undefined>(addNamed, undefined);
    if (named !== undefined) dropNamed(list, named);
  }
  return list;
}

function cleared(value: string, credential: AppliedCredential | undefined): string {
  return credential?.isEchoedIn(value) === true ? CREDENTIAL_MARK : value;
}

function addNamed(named: string[] | undefined, value: string): string[] | undefined {
  for (const token of value.split(",")) {
    const name = token.trim().toLowerCase();
    if (name === "" || name === "close" || name === "keep-alive") continue;
    named ??= [];
    named.push(name);
  }
  return named;
}

function dropNamed(list: string[], named: readonly string[]): void {
  for (let at = list.length - 2; at >= 0; at -= 2) {
    if (named.includes(list[at] as string)) list.splice(at, 2);
  }
}

/** The call's path on the target, with a credential's query parameter in place of any that the call brought itself. */
export function requestPath(basePath: string, path: string, credential: AppliedCredential | undefined): string {
  const query = credential?.query;
  if (query === undefined) return basePath === "" ? path : basePath + path;
  const mark = path.indexOf("?");
  const own = mark === -1 ? [] : path.slice(mark + 1).split("&");
  const kept = own.filter((pair) => pair !== "" && parameterName(pair) !== query.name);
  return `${basePath}${mark === -1 ? path : path.slice(0, mark)}?${[...kept, query.pair].join("&")}`;
}

function parameterName(pair: string): string {
  const name = pair.split("=", 1)[0] ?? "";
  try {
    return decodeURIComponent(name.replaceAll("+", " "));
  } catch {
    return name;
  }
}
