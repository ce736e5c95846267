import { HoopishError, toHoopishError } from "@hoopish/protocol";
import { inspectionProblem, type MaskedBytes, maskAnalyzed, maskWhole } from "../masking/masker.ts";
import type { Session } from "../sessions/session.ts";
import type { CallRecords } from "./call-records.ts";
import type { Exchange } from "./exchange.ts";
import { headerValue } from "./headers.ts";
import type { RelayPorts } from "./ports.ts";
import type { ReadRequest } from "./request.ts";

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
  if (plan === undefined || request.bytes.length === 0) return request;
  const kept = (thrown: unknown): ReadRequest => asItIs(thrown, connection.uninspectable, request, records);
  const masked = ({ bytes, tally }: MaskedBytes): ReadRequest => {
    if (tally.counts.size === 0) return request;
    records.forwarded = { bytes, tally };
    return { ...request, bytes };
  };
  try {
    const encoding = headerValue(exchange.headers, "content-encoding")?.trim().toLowerCase() ?? "identity";
    const type = headerValue(exchange.headers, "content-type");
    const problem = encoding === "identity" || encoding === "" ? inspectionProblem(type) : "it is compressed";
    if (problem !== undefined) throw new HoopishError("response_uninspectable", `it cannot be looked into: ${problem}`);
    // Nobody waits where nobody has to be asked: between a verdict and its charge no other call may come.
    if (plan.analyze === undefined) return masked(maskWhole(request.bytes, type, plan));
    return maskAnalyzed(request.bytes, type, plan).then(masked, kept);
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
