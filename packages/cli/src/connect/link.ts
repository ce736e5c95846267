import { authRenewReplySchema, CLIENT_TUNNEL_PATH, type ErrorCode, HoopishError, isErrorCode } from "@hoopish/protocol";
import {
  dialTunnel,
  proxyFor,
  type Reconnecting,
  type ReconnectState,
  reconnecting,
  type Tunnel,
  TunnelDialError,
} from "@hoopish/tunnel";
import type { TokenSource } from "../auth/token-source.ts";
import type { Env } from "../world.ts";

export interface LinkOptions {
  readonly server: string;
  readonly tokens: TokenSource;
  readonly env: Env;
  /** The tunnel is down; called again before each wait. */
  onReconnecting(attempt: number, delayMs: number, why: string): void;
  /** For tests: waits between dials, milliseconds. */
  readonly minDelayMs?: number;
}

/** The tunnel of one `connect`, dialled again when it breaks. The first dial must succeed: a mistyped address is told. */
export class Link {
  readonly #loop: Reconnecting;
  readonly #options: LinkOptions;
  #everConnected = false;
  #last: ReconnectState["kind"] | undefined;
  #fetching: Promise<unknown> | undefined;
  #fail: (error: HoopishError) => void = () => {};
  /** Rejects when there will be no tunnel any more; never resolves. */
  readonly failed: Promise<never>;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Whoever races it sees it; a link that nobody asks must not end the process.
    this.failed.catch(() => {});
    this.#loop = reconnecting((signal) => this.#dial(signal), {
      onState: (state) => this.#onState(state),
      ...(options.minDelayMs !== undefined && { minDelayMs: options.minDelayMs }),
    });
  }

  /** The tunnel that takes new streams, if there is one now. */
  get tunnel(): Tunnel | undefined {
    return this.#loop.tunnel;
  }

  /** The present tunnel or the next one; rejects when there will be none, or with the signal's reason. */
  connected(signal: AbortSignal): Promise<Tunnel> {
    return this.#loop.connected(signal);
  }

  /** Gives the server a newer token for the tunnel that is open (AuthRenew). @throws HoopishError the server's refusal */
  renew(token: string): Promise<void> {
    const { tunnel } = this;
    // The next dial takes the newest token anyway.
    if (tunnel === undefined) return Promise.resolve();
    return new Promise((resolve, reject) => {
      tunnel.open(
        { ":kind": "auth.renew", token },
        {
          onHeaders: (headers) => {
            const reply = authRenewReplySchema.safeParse(headers);
            if (!reply.success)
              reject(new HoopishError("internal", "the server's answer to auth.renew cannot be read"));
            else if ("error" in reply.data) reject(new HoopishError(reply.data.error.code, reply.data.error.message));
            else resolve();
          },
          onData: (chunk, stream) => stream.consumed(chunk.length),
          onEnd: () => resolve(),
          onReset: (error) => reject(error),
        },
        { endStream: true },
      );
    });
  }

  /**
   * Ends the tunnel now; sessions that are to be closed well are closed before. Settles when no token is being fetched:
   * an exchange whose result is lost would sign the person out.
   */
  async close(): Promise<void> {
    const { tunnel } = this;
    this.#loop.stop();
    tunnel?.close(1000, "done");
    await this.#fetching?.catch(() => {});
  }

  async #dial(signal: AbortSignal): Promise<Tunnel> {
    const { server, tokens, env } = this.#options;
    const url = new URL(CLIENT_TUNNEL_PATH, server);
    let token: string;
    try {
      const fetching = tokens.get();
      this.#fetching = fetching;
      token = (await fetching).value;
    } catch (error) {
      // In the dialler's own error, so that a sign-in that has ended stops the dialling.
      if (!(error instanceof HoopishError)) throw error;
      const { code, message, hint } = error;
      throw new TunnelDialError({ code, message, hint, fatal: code === "unauthenticated", cause: error });
    }
    const tunnel = await dialTunnel(url, {
      headers: { authorization: `Bearer ${token}` },
      proxy: proxyFor(url, env),
      signal,
    });
    this.#everConnected = true;
    return tunnel;
  }

  #onState(state: ReconnectState): void {
    const last = this.#last;
    this.#last = state.kind;
    // After a wait it was told already.
    if (state.kind === "connecting" && last === "connected") {
      this.#options.onReconnecting(state.attempt, 0, "connecting to the server again");
    } else if (state.kind === "waiting" && this.#everConnected) {
      this.#options.onReconnecting(state.attempt, state.delayMs, state.error.message);
    } else if (state.kind === "waiting") {
      this.#fail(dialFailure(state.error, this.#options.server));
      this.#loop.stop();
    } else if (state.kind === "stopped" && state.error !== undefined) {
      this.#fail(dialFailure(state.error, this.#options.server));
    }
  }
}

/** The dialler's error in hoopish's words. */
function dialFailure(error: Error, server: string): HoopishError {
  if (!(error instanceof TunnelDialError)) return new HoopishError("unreachable", error.message, { cause: error });
  if (error.cause instanceof HoopishError) return error.cause;
  const code: ErrorCode = isErrorCode(error.code) ? error.code : "unreachable";
  const hint = error.hint ?? REMEDIES[error.code] ?? "hoopish doctor";
  const message = code === "unreachable" ? `${server} cannot be reached: ${error.message}` : error.message;
  return new HoopishError(code, message, { hint, cause: error });
}

const REMEDIES: Readonly<Record<string, string>> = {
  unauthenticated: "hoopish login",
  tls_untrusted: "point NODE_EXTRA_CA_CERTS at the bank's CA file (hoopish doctor)",
  proxy_failed: "check HTTPS_PROXY and NO_PROXY (hoopish doctor)",
  bad_handshake: "check the address; a proxy may not let WebSockets through (hoopish doctor)",
  access_denied: "ask for access to a connection; hoopish connections lists yours",
};
