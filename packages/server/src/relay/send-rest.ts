import type { CallRecords } from "./call-records.ts";
import type { Delivery } from "./delivery.ts";
import type { Exchange, ReadRequest } from "./exchange.ts";
import type { OnPiece } from "./judge-piece.ts";
import type { Upstream } from "./ports.ts";
import { tooLarge } from "./request.ts";

/** Bytes of a flowing request that may wait for the store. */
const UNRECORDED_BYTES = 4_194_304;

/**
 * Sends a body on that is too large to be read whole: each piece is recorded as it flows, and the model server gets it at
 * the pace at which it takes it. Never rejects: what goes wrong ends the delivery.
 */
export function sendRest(
  exchange: Exchange,
  request: ReadRequest,
  upstream: Upstream,
  delivery: Delivery,
  records: CallRecords,
  limitBytes: number,
  onPiece: OnPiece | undefined,
): void {
  const run = async (): Promise<void> => {
    let total = request.bytes.length;
    let unrecorded = 0;
    let failed: unknown;
    if (request.bytes.length > 0 && !upstream.write(request.bytes)) await delivery.upstreamDrained();
    for await (const chunk of exchange.body.rest()) {
      if (delivery.ended) return;
      total += chunk.length;
      if (total > limitBytes) throw tooLarge(limitBytes);
      const outgoing = onPiece === undefined ? chunk : await onPiece(chunk);
      unrecorded += chunk.length;
      const recorded = records.requestPiece(chunk, outgoing).then(
        () => {
          unrecorded -= chunk.length;
        },
        (error: unknown) => {
          failed = error;
        },
      );
      if (unrecorded > UNRECORDED_BYTES) await recorded;
      if (failed !== undefined) throw failed;
      if (!upstream.write(outgoing)) await delivery.upstreamDrained();
    }
    records.requestEnded();
    upstream.end(exchange.body.trailers);
  };
  run().catch((error: unknown) => delivery.fail(error));
}
