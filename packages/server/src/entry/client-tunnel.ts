import type { IncomingMessage } from "node:http";
import {
  authRenewSchema,
  HoopishError,
  type Protocol,
  type RecordActor,
  type SessionEvent,
  type SessionId,
  sessionOpenSchema,
  tcpStreamSchema,
  toHoopishError,
} from "@hoopish/protocol";
import { type TunnelStream, toDuplex, type UpgradeDecision } from "@hoopish/tunnel";
import type { EvidenceLog } from "../evidence/port.ts";
import type { ActorOf, Identity, Principal } from "../identity/principal.ts";
import type { SeenPrincipals } from "../identity/seen-principals.ts";
import type { Locks } from "../locks/port.ts";
import { refuseLocked } from "../locks/refuse-locked.ts";
import type { StreamEntry } from "../protocols/line.ts";
import type { Session } from "../sessions/session.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { bearerToken, clientName, rejection } from "./bearer.ts";
import type { Refusals } from "./refusals.ts";

/** REFUSED_STREAM and CANCEL of RFC 9113 §7. */
const REFUSED_STREAM = 0x7;
/** Event bytes that may wait for a CLI that does not read its session's events; what comes then is left out. */
const MAX_EVENT_BYTES = 262_144;
/** A live view is a person's: it need not be quicker. */
const EVENT_BUNDLE_MS = 50;

export interface ClientTunnelPorts {
  readonly identity: Identity;
  readonly sessions: Sessions;
  readonly locks: Locks;
  readonly seen: SeenPrincipals;
  readonly log: EvidenceLog;
  readonly refusals: Refusals;
  readonly actorOf: ActorOf;
  /** What speaks with the clients of a connection, by its protocol. */
  readonly entries: Readonly<Record<Protocol, StreamEntry>>;
  readonly now: () => number;
  readonly draining: () => boolean;
  readonly report: (error: unknown) => void;
}

/** A person's or a job's tunnel: who it is is settled once, before the upgrade, and again at each renewal. */
export async function authorizeClient(request: IncomingMessage, ports: ClientTunnelPorts): Promise<UpgradeDecision> {
  const client = clientName(request.headers["user-agent"]);
  let known: RecordActor | undefined;
  try {
    if (ports.draining()) throw new HoopishError("server_draining", "the server is about to stop; try again");
    const principal = await ports.identity.verify(bearerToken(request.headers.authorization));
    known = ports.actorOf(principal);
    refuseLocked(principal.user, ports.locks);
    ports.seen.add(principal);
    const expires = new Date(principal.expiresAtMs).toISOString();
    await ports.log.append([{ type: "auth.login", actor: known, expires, client }]);
    const tunnel = new ClientTunnel(principal, ports);
    return { accept: { onStream: (stream) => tunnel.onStream(stream), onClose: () => tunnel.onClose() } };
  } catch (thrown) {
    const error = toHoopishError(thrown);
    if (error.code === "internal") ports.report(thrown);
    await ports.refusals.record(error, client, known);
    return rejection(error);
  }
}

class ClientTunnel {
  readonly #ports: ClientTunnelPorts;
  readonly #sessions = new Map<SessionId, Session>();
  #principal: Principal;

  constructor(principal: Principal, ports: ClientTunnelPorts) {
    this.#principal = principal;
    this.#ports = ports;
  }

  onStream(stream: TunnelStream): void {
    switch (stream.headers[":kind"]) {
      case "tcp":
        this.#tcp(stream);
        return;
      case "session.open":
        this.#reply(stream, this.#open(stream));
        return;
      case "auth.renew":
        this.#reply(stream, this.#renew(stream));
        return;
      default:
        stream.reset(REFUSED_STREAM, "no such kind of stream");
    }
  }

  onClose(): void {
    for (const session of this.#sessions.values()) this.#end(session, "the client's tunnel closed");
  }

  #tcp(stream: TunnelStream): void {
    const parsed = tcpStreamSchema.safeParse(stream.headers);
    const session = parsed.success ? this.#sessions.get(parsed.data.session) : undefined;
    if (session === undefined || session.ended !== undefined) stream.reset(REFUSED_STREAM, "no such session");
    else this.#ports.entries[session.connection.protocol].accept(toDuplex(stream), session);
  }

  async #open(stream: TunnelStream): Promise<object> {
    let over = false;
    let opened: Session | undefined;
    const closed = (): void => {
      over = true;
      if (opened !== undefined) this.#end(opened, "closed by its owner");
    };
    stream.handler = { onData: (chunk) => stream.consumed(chunk.length), onEnd: closed, onReset: closed };
    const ask = sessionOpenSchema.safeParse(stream.headers);
    if (!ask.success) throw new HoopishError("bad_request", "session.open is malformed");
    if (this.#principal.expiresAtMs <= this.#ports.now())
      throw new HoopishError("unauthenticated", "the sign-in expired");
    const events = new EventStream(stream);
    const session = await this.#ports.sessions.open(this.#principal, ask.data, (event) => events.emit(event));
    opened = session;
    this.#sessions.set(session.id, session);
    session.onEnd({
      place: -1,
      sessionEnded: ({ mayReturn }) => {
        this.#sessions.delete(session.id);
        // The end of its stream tells the client that the session is over for good; otherwise the tunnel's end is enough.
        if (mayReturn !== true) stream.end();
      },
    });
    if (over) closed();
    const { connection, facts } = session;
    const { name, protocol, api } = connection;
    const expiresAt = new Date(session.expiresAtMs).toISOString();
    return { session: { id: session.id, connection: name, protocol, api, rule: facts.rule, expiresAt } };
  }

  async #renew(stream: TunnelStream): Promise<object> {
    stream.handler = {
      onData: (chunk) => stream.consumed(chunk.length),
      onEnd: () => undefined,
      onReset: () => undefined,
    };
    const ask = authRenewSchema.safeParse(stream.headers);
    if (!ask.success) throw new HoopishError("bad_request", "auth.renew is malformed");
    const principal = await this.#ports.identity.verify(ask.data.token);
    if (principal.sub !== this.#principal.sub || principal.issuer !== this.#principal.issuer) {
      throw new HoopishError("access_denied", "a tunnel keeps its principal: this token is somebody else's");
    }
    refuseLocked(principal.user, this.#ports.locks);
    this.#principal = principal;
    this.#ports.seen.add(principal);
    await this.#ports.sessions.renew([...this.#sessions.values()], principal);
    return { expiresAt: new Date(principal.expiresAtMs).toISOString() };
  }

  /** Answers a control stream: HEADERS with the result (a session's stream stays open), or the error and the end. */
  #reply(stream: TunnelStream, work: Promise<object>): void {
    work.then(
      (headers) => {
        if (stream.state !== "closed") stream.sendHeaders(headers, { endStream: !("session" in headers) });
      },
      (thrown: unknown) => {
        const error = toHoopishError(thrown);
        if (error.code === "internal") this.#ports.report(thrown);
        if (stream.state !== "closed") stream.sendHeaders(error.toBody(), { endStream: true });
      },
    );
  }

  #end(session: Session, reason: string): void {
    this.#sessions.delete(session.id);
    // A client that leaves because its time is over may be quicker than the sweep: the log says what was the cause.
    const end = session.overdue(this.#ports.now()) ?? { reason, code: "session_closed" as const };
    this.#ports.sessions.end(session, end).catch(this.#ports.report);
  }
}

/** A session's events, one JSON a line. Calls are told in bundles: a frame for each would cost as much as a small call. */
class EventStream {
  readonly #stream: TunnelStream;
  #lines = "";
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: TunnelStream) {
    this.#stream = stream;
  }

  emit(event: SessionEvent): void {
    if (event.event === "call") {
      if (this.#stream.writableQueued + this.#lines.length > MAX_EVENT_BYTES) return;
      this.#lines += `${JSON.stringify(event)}\n`;
      this.#timer ??= setTimeout(() => this.#flush(), EVENT_BUNDLE_MS);
      return;
    }
    this.#lines += `${JSON.stringify(event)}\n`;
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const lines = this.#lines;
    this.#lines = "";
    const { state } = this.#stream;
    if (state !== "closed" && state !== "half-closed-local") this.#stream.write(Buffer.from(lines));
  }
}
