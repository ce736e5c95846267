import { type FrameHeaders, type HttpCall, isCallId } from "@hoopish/protocol";

/**
 * The opening HEADERS of a stream as a call, or undefined when they are none. Takes exactly what `httpCallSchema` takes
 * (a test holds the two together); written out because it runs once a call, where the schema costs ten times as much.
 */
export function readCall(headers: FrameHeaders): HttpCall | undefined {
  const { call, connection, method, path, headers: list, length, timeoutMs } = headers;
  if (headers[":kind"] !== "http" || !isCallId(call)) return undefined;
  if (typeof connection !== "string" || typeof method !== "string" || typeof path !== "string") return undefined;
  if (!isHeaderList(list) || !isCount(timeoutMs)) return undefined;
  if (length !== undefined && !isCount(length)) return undefined;
  return headers as unknown as HttpCall;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isHeaderList(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length % 2 !== 0) return false;
  for (const item of value) if (typeof item !== "string") return false;
  return true;
}

/**
 * Why a call may not go out as it stands, or undefined. What is left to undici, which checks it on every request: the
 * method and the names of headers are tokens, and no value holds CR, LF or NUL.
 */
export function whyNotCarried(call: HttpCall): string | undefined {
  // The path is appended to a fixed origin; anything that is not origin form could name another host.
  if (call.path.charCodeAt(0) !== 0x2f) return "the path must be in origin form, beginning with /";
  if (!PATH.test(call.path)) return "the path holds a character that a request line cannot carry";
  const method = call.method.toUpperCase();
  if (method === "CONNECT") return "CONNECT is not carried";
  // RFC 9110 section 9.3.8: TRACE sends the request's headers back, the credential among them.
  if (method === "TRACE") return "TRACE is not carried: its answer would show the credential";
  return undefined;
}

/** Visible ASCII and obs-text, without `#`: a fragment is never sent (RFC 9112 section 3.2.1). */
const PATH = /^[\x21\x22\x24-\x7e\x80-\xff]+$/;
