import { HoopishError } from "@hoopish/protocol";

/** What Node, OpenSSL and undici say, and what a person can do about it. The first part that matches counts. */
const REMEDIES: readonly (readonly [RegExp, string, string])[] = [
  [/ENOTFOUND|EAI_AGAIN/, "its name cannot be resolved", "check the address and your network or VPN"],
  [/ECONNREFUSED/, "nothing listens there", "check the address and port, and that the server is running"],
  [
    /SELF_SIGNED_CERT|UNABLE_TO_VERIFY_LEAF|UNABLE_TO_GET_ISSUER|DEPTH_ZERO_SELF_SIGNED/,
    "its certificate is not signed by an authority that is trusted here",
    "point NODE_EXTRA_CA_CERTS at the bank's CA file, or set NODE_USE_SYSTEM_CA=1",
  ],
  [/CERT_HAS_EXPIRED/, "its certificate has expired", "check this machine's clock, then tell the server's operators"],
  [/CERT_NOT_YET_VALID/, "its certificate is not valid yet", "check this machine's clock"],
  [/ALTNAME_INVALID/, "its certificate is for another name", "use the name that is in the certificate"],
  [
    /EPROTO|ERR_SSL|WRONG_VERSION_NUMBER/,
    "it does not speak TLS there",
    "check the port, or whether a proxy is needed",
  ],
  [/proxy|407/i, "the proxy refused", "check HTTPS_PROXY and NO_PROXY"],
  [/TIMEOUT|timeout/, "it does not answer", "check your network, VPN and HTTPS_PROXY"],
  [/ECONNRESET|EPIPE|UND_ERR_SOCKET|terminated/, "the connection broke", "run it again; hoopish doctor looks closer"],
];

/** @param peer who could not be reached, as a person knows it */
export function networkError(cause: unknown, peer: string): HoopishError {
  const text = describe(cause);
  const [, what, hint] = REMEDIES.find(([pattern]) => pattern.test(text)) ?? [undefined, text, "hoopish doctor"];
  return new HoopishError("unreachable", `${peer} cannot be reached: ${what}`, { hint, cause });
}

/** Codes and messages of an error and of all that caused it. */
function describe(error: unknown, depth = 0): string {
  if (!(error instanceof Error) || depth > 4) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  const causes = error instanceof AggregateError ? error.errors : error.cause === undefined ? [] : [error.cause];
  return [code, error.message, ...causes.map((cause: unknown) => describe(cause, depth + 1))].filter(Boolean).join(" ");
}
