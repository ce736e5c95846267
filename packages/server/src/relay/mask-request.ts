import { HoopishError, toHoopishError } from "@hoopish/protocol";
import type { MaskedBytes } from "../masking/masker.ts";
import { Tally } from "../masking/tally.ts";
import type { Session } from "../sessions/session.ts";
import type { CallRecords } from "./call-records.ts";
import type { Exchange, ReadRequest } from "./exchange.ts";
import type { RelayPorts } from "./ports.ts";

/**
 * What the model is asked: the request, without what the rules keep from it.
 * @throws HoopishError policy_blocked for what must not pass, and for what cannot be looked into
 */
export function maskRequest(
  session: Session,
  exchange: Exchange,
  request: ReadRequest,
  records: CallRecords,
  ports: RelayPorts,
): ReadRequest | Promise<ReadRequest> {
  const { connection } = session;
  const plan = ports.masks(connection.name).request;
  if (plan === undefined) return request;
  if (request.bytes.length === 0) {
    // Messages follow, and what the model gets of them is kept apart.
    if (!request.ended && exchange.judgesPieces) records.forwarded = { bytes: request.bytes, tally: new Tally(plan) };
    return request;
  }
  const kept = (thrown: unknown): ReadRequest => asItIs(thrown, connection.uninspectable, request, records);
  const masked = ({ bytes, tally }: MaskedBytes): ReadRequest => {
    // Of a stream of messages a later one may be altered: what the model gets is kept apart from its first on.
    if (tally.counts.size === 0 && request.ended) return request;
    records.forwarded = { bytes, tally };
    return { ...request, bytes };
  };
  try {
    const done = exchange.mask(request, plan);
    return done instanceof Promise ? done.then(masked, kept) : masked(done);
  } catch (thrown) {
    return kept(thrown);
  }
}

/** A request that cannot be looked into goes on only where the connection says so, named. @throws HoopishError policy_blocked */
function asItIs(
  thrown: unknown,
  uninspectable: "block" | "allow",
  request: ReadRequest,
  records: CallRecords,
): ReadRequest {
  const error = toHoopishError(thrown);
  if (error.code !== "response_uninspectable") throw error;
  if (uninspectable === "block") throw new HoopishError("policy_blocked", `the request: ${error.message}`);
  records.uninspected.push(`request: ${error.message} (uninspectable: allow)`);
  return request;
}
