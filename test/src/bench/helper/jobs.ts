import type { BulkAsk, BulkDone, BulkFlow } from "./bulk.ts";
import type { RequestsAsk, RequestsDone } from "./requests.ts";
import type { SessionsAsk, SessionsDone } from "./sessions.ts";
import type { FirstEventsAsk, ManyStreamsAsk, ManyStreamsDone, PacedAsk, PacedDone } from "./streams.ts";
import type { Unread, UnreadAsk } from "./unread.ts";

/** Where a request goes, and what it must say of itself to be let through. */
export interface Endpoint {
  /** `http://127.0.0.1:PORT`, no slash at the end. */
  readonly origin: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What a helper process can be asked to do. Asked and answered as JSON. */
export interface Jobs {
  /** Requests a second with so many keep-alive connections. */
  requests(ask: RequestsAsk): Promise<RequestsDone>;
  /** Listens; what comes is passed on to the model server, and each event is stamped. */
  tapListen(): Promise<{ readonly port: number }>;
  tapTarget(ask: { readonly port: number }): Promise<void>;
  /** Milliseconds from request to first event, path after path, again and again. */
  firstEvents(ask: FirstEventsAsk): Promise<readonly (readonly number[])[]>;
  /** One stream through the tap. */
  paced(ask: PacedAsk): Promise<PacedDone>;
  manyStreams(ask: ManyStreamsAsk): Promise<ManyStreamsDone>;
  bulkDown(ask: BulkAsk): Promise<BulkDone>;
  bulkUp(ask: BulkAsk): Promise<BulkDone>;
  /** One download after the other until `bulkStop`. */
  bulkLoop(ask: BulkAsk): Promise<BulkFlow>;
  bulkStop(): Promise<void>;
  /** Opens sessions, each on a tunnel of its own, and keeps them. */
  sessionsOpen(ask: SessionsAsk): Promise<SessionsDone>;
  sessionsClose(): Promise<void>;
  /** Asks for a large answer and never reads it. */
  unreadOpen(ask: UnreadAsk): Promise<void>;
  unreadClose(): Promise<Unread>;
}
