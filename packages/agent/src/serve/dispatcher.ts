import type { Dispatcher } from "undici";
import type { RequestBody } from "./body.ts";

/** A request as it goes to the model server. */
export interface UpstreamRequest {
  readonly path: string;
  readonly method: string;
  /** name, value, name, value … */
  readonly headers: string[];
  /** A body that is iterated has its length among the headers, or is chunked. */
  body: Buffer | RequestBody | null;
}

/** What a request rides on, because only that knows how its socket ended. */
export interface Carrier {
  /**
   * The socket ended with an error. undici and node:http take a reset for the end of an answer whose end is the
   * connection's; to us an answer that was cut off is never whole.
   */
  readonly socketBroke: boolean;
}

export interface UpstreamHandler extends Dispatcher.DispatchHandler {
  /** Set before the request goes out. */
  carrier: Carrier | undefined;
}

/** Sends requests to one origin. */
export interface CallDispatcher {
  dispatch(request: UpstreamRequest, handler: UpstreamHandler): void;
}
