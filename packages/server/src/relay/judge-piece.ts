import { HoopishError } from "@hoopish/protocol";
import { Tally } from "../masking/tally.ts";
import type { Session } from "../sessions/session.ts";
import type { CallRecords } from "./call-records.ts";
import type { Exchange, ReadRequest } from "./exchange.ts";
import { charge, questionOf, refuseBlocked } from "./judge.ts";
import type { RelayPorts } from "./ports.ts";

/** @returns what the model gets of the piece @throws HoopishError when it may not go on */
export type OnPiece = (bytes: Buffer) => Buffer | Promise<Buffer>;

/**
 * Judges, charges and masks the messages of a request that flows, each before it goes on: what a rule keeps from one call must
 * not get through as the second message of another.
 */
export function judgePiece(session: Session, exchange: Exchange, records: CallRecords, ports: RelayPorts): OnPiece {
  const { principal, connection } = session;
  const mask = ports.masks(connection.name).request;
  return (bytes) => {
    const request: ReadRequest = { bytes, ended: false, body: exchange.read(bytes, false) };
    const operation = exchange.describe(request);
    if (operation.unclear !== undefined && ports.policy().needsBody(principal, connection.name)) {
      if (connection.uninspectable === "block") {
        throw new HoopishError(
          "policy_blocked",
          `what a message of this call asks for cannot be told: ${operation.unclear}`,
        );
      }
      // Once, however many messages are so.
      const named = `request: ${operation.unclear} (uninspectable: allow)`;
      if (!records.uninspected.includes(named)) records.uninspected.push(named);
    }
    const verdict = ports.policy().judge(questionOf(session, exchange, request, operation, ports));
    refuseBlocked(verdict);
    if (verdict.verdict === "hold") {
      const why = `a message of a stream cannot wait for an approval (${verdict.rule}): send it as a call of its own`;
      throw new HoopishError("policy_blocked", why);
    }
    charge(verdict, ports);
    if (mask === undefined) return bytes;
    const masked = exchange.mask(request, mask);
    const keep = ({ bytes: outgoing, tally }: { readonly bytes: Buffer; readonly tally: Tally }): Buffer => {
      records.laterTally ??= new Tally(mask);
      records.laterTally.add(tally);
      return outgoing;
    };
    return masked instanceof Promise ? masked.then(keep) : keep(masked);
  };
}
