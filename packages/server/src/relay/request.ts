import { HoopishError } from "@hoopish/protocol";
import type { EndListener } from "../sessions/end-listeners.ts";
import type { Session } from "../sessions/session.ts";
import type { Exchange } from "./exchange.ts";
import { headerValue } from "./headers.ts";

/** Bodies up to this size are read whole before the call is judged; a larger one flows, and is known by its head alone. */
const INSPECT_BYTES = 1_048_576;

export interface ReadRequest {
  readonly bytes: Buffer;
  /** The bytes are the whole body. */
  readonly ended: boolean;
  /** The body as JSON; undefined when it is none, or not whole. */
  json(): unknown;
}

/** @throws HoopishError request_too_large, request_timeout, or why the session ended */
export async function readRequest(exchange: Exchange, session: Session): Promise<ReadRequest> {
  const { requestBytes } = session.connection.limits;
  if (exchange.length === 0) return wholeRequest(exchange, Buffer.alloc(0));
  if ((exchange.length ?? 0) > requestBytes) throw tooLarge(requestBytes);
  const limit = Math.min(INSPECT_BYTES, requestBytes);
  const whole = await exchange.body.arrived(limit);
  if (whole !== undefined) return wholeRequest(exchange, whole);
  const { bytes, ended } = await within(exchange.body.prefix(limit), session);
  if (bytes.length > requestBytes) throw tooLarge(requestBytes);
  return ended ? wholeRequest(exchange, bytes) : { bytes, ended, json: () => undefined };
}

function wholeRequest(exchange: Exchange, bytes: Buffer): ReadRequest {
  return { bytes, ended: true, json: () => parseJson(exchange, bytes) };
}

function parseJson(exchange: Exchange, bytes: Buffer): unknown {
  const type = headerValue(exchange.headers, "content-type");
  if (bytes.length === 0 || (type !== undefined && !/[/+]json\b/i.test(type))) return undefined;
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

/** The work's result, unless the session ends or the call's time is over before. */
function within<T>(work: Promise<T>, session: Session): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const late = (): void => reject(new HoopishError("request_timeout", "the request took too long"));
    const timer = setTimeout(() => stop(late), session.connection.limits.callMs);
    const ended: EndListener = {
      place: -1,
      sessionEnded: ({ code, reason }) => stop(() => reject(new HoopishError(code, reason))),
    };
    const stop = (settle: () => void): void => {
      clearTimeout(timer);
      session.offEnd(ended);
      settle();
    };
    work.then(
      (result) => stop(() => resolve(result)),
      (error: unknown) => stop(() => reject(error)),
    );
    session.onEnd(ended);
  });
}

export const tooLarge = (limit: number): HoopishError =>
  new HoopishError("request_too_large", `the request is larger than ${limit} bytes, this connection's limit`);
