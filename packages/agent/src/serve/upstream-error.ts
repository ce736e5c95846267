import type { StreamError } from "@hoopish/protocol";
import { codeOf } from "../error-code.ts";

/**
 * What the network, TLS or undici says went wrong, in the codes that callers know. The messages are fixed sentences:
 * the originals name addresses and quote bytes of the answer, and neither is for the other side of the tunnel.
 */
export function upstreamError(error: unknown): StreamError {
  const code = codeOf(error);
  return KNOWN[code] ?? (TLS.test(code) ? failed("TLS with the model server failed") : other(code));
}

const failed = (message: string): StreamError => ({ code: "upstream_failed", message });
const late = (message: string): StreamError => ({ code: "upstream_timeout", message });
const badRequest = (message: string): StreamError => ({ code: "bad_request", message });

const CLOSED = failed("the model server closed the connection");
const UNREACHABLE = failed("the model server cannot be reached");
const UNRESOLVED = failed("the model server's name cannot be resolved");
const NOT_ACCEPTED = late("the model server did not accept a connection in time");

const KNOWN: Readonly<Record<string, StreamError>> = {
  ECONNREFUSED: failed("the model server refuses connections"),
  ECONNRESET: CLOSED,
  EPIPE: CLOSED,
  UND_ERR_SOCKET: CLOSED,
  UND_ERR_INFO: CLOSED,
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  EADDRNOTAVAIL: UNREACHABLE,
  ENOTFOUND: UNRESOLVED,
  EAI_AGAIN: UNRESOLVED,
  ETIMEDOUT: NOT_ACCEPTED,
  UND_ERR_CONNECT_TIMEOUT: NOT_ACCEPTED,
  UND_ERR_HEADERS_TIMEOUT: late("the model server did not begin its answer in time"),
  UND_ERR_BODY_TIMEOUT: late("the model server stopped sending its answer"),
  UND_ERR_HEADERS_OVERFLOW: failed("the headers of the model server's answer are too large"),
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: failed("the model server's answer is not of the length that it announced"),
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: badRequest("the request's body is not of the length that it announced"),
  UND_ERR_INVALID_ARG: badRequest("the request cannot be carried as HTTP/1.1"),
  UND_ERR_NOT_SUPPORTED: badRequest("the request cannot be carried as HTTP/1.1"),
  UND_ERR_DESTROYED: { code: "agent_unavailable", message: "the agent is stopping" },
  UND_ERR_CLOSED: { code: "agent_unavailable", message: "the agent is stopping" },
};

/** Codes of OpenSSL's verification and of Node's TLS; HPE_ are llhttp's. */
const TLS =
  /^(ERR_SSL_|ERR_TLS_|ERR_OSSL_|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO$)/;

function other(code: string): StreamError {
  return code.startsWith("HPE_")
    ? failed("the model server's answer is not HTTP/1.1")
    : failed("the call to the model server failed");
}
