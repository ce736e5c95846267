import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import {
  authRenewSchema,
  CLIENT_TUNNEL_PATH,
  type Discovery,
  ERROR_SHAPES,
  type ErrorCode,
  newSessionId,
  type SessionEvent,
  type SessionOpen,
  sessionOpenSchema,
  TunnelErrorCode,
  tcpStreamSchema,
  type Whoami,
} from "@hoopish/protocol";
import { attachUpgrade, type Tunnel, type TunnelStream, toDuplex, type UpgradeHandle } from "@hoopish/tunnel";

export type Route = (request: IncomingMessage, response: ServerResponse, url: URL) => void;

export interface GatewayOptions {
  readonly discovery?: Partial<Discovery>;
  /** Method and path without query → answer. Those given win over the built-in ones. */
  readonly routes?: Readonly<Record<string, Route>>;
  /** Whether a token is good; default: every one. */
  readonly accepts?: (token: string) => boolean;
  /** Answers session.open with an error. */
  readonly refuse?: (open: SessionOpen) => { code: ErrorCode; message: string; hint?: string } | undefined;
}

export interface OpenedSession {
  readonly id: string;
  readonly open: SessionOpen;
  readonly stream: TunnelStream;
  ended: boolean;
  send(event: SessionEvent): void;
}

/** A small server half of the contracts: the control API and the tunnel, with whatever model `onTcp` plays. */
export class Gateway {
  readonly http: Server;
  readonly url: string;
  readonly sessions: OpenedSession[] = [];
  readonly renewals: string[] = [];
  readonly tokens: string[] = [];
  readonly requests: { method: string; path: string; body: string }[] = [];
  readonly tunnels: Tunnel[] = [];
  onTcp: (stream: Duplex, raw: TunnelStream) => void;
  /** Dials are refused with 503 while this is true. */
  down = false;
  /** Of the sessions that are opened from now on. */
  protocol: "http" | "grpc" | "postgres" = "http";
  readonly #options: GatewayOptions;
  readonly #upgrade: UpgradeHandle;

  private constructor(http: Server, options: GatewayOptions) {
    this.http = http;
    this.#options = options;
    this.url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    const model = createServer((request, response) => {
      response.end(JSON.stringify({ path: request.url, method: request.method }));
    });
    this.onTcp = (stream) => model.emit("connection", stream);
    http.on("request", (request, response) => this.#answer(request, response));
    this.#upgrade = attachUpgrade(http, {
      [CLIENT_TUNNEL_PATH]: (request) => {
        const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
        this.tokens.push(token);
        if (this.down) return rejection("server_draining");
        if (!this.#accepts(token)) return rejection("unauthenticated");
        return {
          accept: { onStream: (stream) => this.#stream(stream) },
          onTunnel: (tunnel) => this.tunnels.push(tunnel),
        };
      },
    });
  }

  static async start(options: GatewayOptions = {}): Promise<Gateway> {
    const http = createServer();
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    return new Gateway(http, options);
  }

  /** The newest session. */
  get session(): OpenedSession {
    const session = this.sessions.at(-1);
    if (session === undefined) throw new Error("no session was opened");
    return session;
  }

  drain(): void {
    for (const tunnel of this.tunnels) tunnel.goAway("restart");
  }

  cut(): void {
    for (const tunnel of this.tunnels) tunnel.terminate();
  }

  async close(): Promise<void> {
    this.#upgrade.close();
    this.http.closeAllConnections();
    await new Promise((resolve) => this.http.close(resolve));
  }

  #accepts(token: string): boolean {
    return token !== "" && (this.#options.accepts?.(token) ?? true);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", this.url);
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => {
      this.requests.push({ method: request.method ?? "", path: url.pathname + url.search, body });
      const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
      const route = this.#options.routes?.[`${request.method} ${url.pathname}`];
      if (url.pathname === "/.well-known/hoopish") json(response, this.#discovery());
      else if (!this.#accepts(token)) sendError(response, "unauthenticated", "the token is not good");
      else if (route !== undefined) route(request, response, url);
      else if (url.pathname === "/api/v1/whoami") json(response, WHOAMI);
      else sendError(response, "not_found", "there is nothing here");
    });
  }

  #discovery(): Discovery {
    return { name: "hoopish", version: "0.1.0", issuers: [], insecureStorage: false, ...this.#options.discovery };
  }

  #stream(stream: TunnelStream): void {
    const kind = stream.headers[":kind"];
    if (kind === "tcp") {
      const { session } = tcpStreamSchema.parse(stream.headers);
      const known = this.sessions.some(({ id, ended }) => id === session && !ended);
      if (!known) {
        stream.handler = IGNORE;
        stream.reset(TunnelErrorCode.REFUSED_STREAM, "no such session");
        return;
      }
      const duplex = toDuplex(stream);
      duplex.on("error", () => {});
      this.onTcp(duplex, stream);
    } else if (kind === "auth.renew") {
      stream.handler = IGNORE;
      this.renewals.push(authRenewSchema.parse(stream.headers).token);
      stream.sendHeaders({ expiresAt: new Date(Date.now() + 3_600_000).toISOString() }, { endStream: true });
    } else {
      stream.handler = IGNORE;
      this.#openSession(stream);
    }
  }

  #openSession(stream: TunnelStream): void {
    const open = sessionOpenSchema.parse(stream.headers);
    const error = this.#options.refuse?.(open);
    if (error !== undefined) {
      stream.sendHeaders({ error }, { endStream: true });
      return;
    }
    const id = newSessionId();
    const session: OpenedSession = {
      id,
      open,
      stream,
      ended: false,
      send: (event) => stream.write(Buffer.from(`${JSON.stringify(event)}\n`)),
    };
    stream.handler = {
      ...IGNORE,
      onEnd: () => {
        session.ended = true;
        stream.end();
      },
      onReset: () => {
        session.ended = true;
      },
    };
    this.sessions.push(session);
    const expiresAt = new Date(Date.now() + 8 * 3_600_000).toISOString();
    const { protocol } = this;
    const info = { id, connection: open.connection, protocol, api: "openai", rule: "scientists", expiresAt };
    stream.sendHeaders({ session: info });
  }
}

const IGNORE = {
  onData: (chunk: Buffer, stream: TunnelStream): void => stream.consumed(chunk.length),
  onEnd: (): void => {},
  onReset: (): void => {},
};

export const WHOAMI: Whoami = {
  user: "scientist@bank.example",
  name: "Sam Scientist",
  sub: "s-1",
  issuer: "https://login.bank.example",
  kind: "human",
  groups: ["data-science"],
  roles: [],
  expiresAt: "2099-01-01T00:00:00.000Z",
};

export function json(response: ServerResponse, value: unknown): void {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(value));
}

export function sendError(response: ServerResponse, code: ErrorCode, message: string): void {
  response.statusCode = ERROR_SHAPES[code].http;
  json(response, { error: { code, message } });
}

function rejection(code: ErrorCode) {
  return { reject: { status: ERROR_SHAPES[code].http, body: { error: { code, message: `refused: ${code}` } } } };
}
