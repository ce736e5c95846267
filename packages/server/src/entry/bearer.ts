import { HoopishError } from "@hoopish/protocol";

/** The token of an `authorization: Bearer …` header (RFC 6750 §2.1). @throws HoopishError unauthenticated */
export function bearerToken(authorization: string | undefined): string {
  const match = /^Bearer ([A-Za-z0-9\-._~+/]+=*)$/i.exec(authorization ?? "");
  if (match?.[1] === undefined) {
    throw new HoopishError("unauthenticated", "no bearer token was given", { hint: "hoopish login" });
  }
  return match[1];
}

/** What an upgrade is refused with, as the dialler's TunnelDialError carries it. */
export function rejection(error: HoopishError): {
  readonly reject: { readonly status: number; readonly body: object };
} {
  return { reject: { status: error.shape.http, body: error.toBody() } };
}

/** `User-Agent` as a record may hold it. */
export function clientName(userAgent: string | undefined): string {
  return (userAgent ?? "unknown").slice(0, 200).toWellFormed();
}
