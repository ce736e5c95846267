import { HoopishError } from "@hoopish/protocol";
import type { EndListener } from "../sessions/end-listeners.ts";
import type { Session } from "../sessions/session.ts";
import type { Exchange, ReadRequest } from "./exchange.ts";

/** Bodies up to this size are read whole before the call is judged; a larger one flows, and is known by its head alone. */
const INSPECT_BYTES = 1_048_576;

/**
 * @param looksInside a rule's verdict needs the body: it is read whole, up to the connection's limit
 * @throws HoopishError request_too_large, request_timeout, or why the session ended
 */
export async function readRequest(exchange: Exchange, session: Session, looksInside: boolean): Promise<ReadRequest> {
  const { requestBytes } = session.connection.limits;
  const wholeRequest = (bytes: Buffer): ReadRequest => ({ bytes, ended: true, body: exchange.read(bytes, true) });
  if (exchange.length === 0) return wholeRequest(NOTHING);
  if ((exchange.length ?? 0) > requestBytes) throw tooLarge(requestBytes);
  const limit = looksInside ? requestBytes : Math.min(INSPECT_BYTES, requestBytes);
  const whole = await exchange.body.arrived(limit);
  if (whole !== undefined) return wholeRequest(whole);
  const { bytes, ended } = await within(exchange.body.prefix(limit), session);
  if (bytes.length > requestBytes) throw tooLarge(requestBytes);
  return ended ? wholeRequest(bytes) : { bytes, ended, body: exchange.read(bytes, false) };
}

const NOTHING = Buffer.alloc(0);

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
