import { createPublicKey, verify } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import {
  AGENT_AUTH_SCHEME,
  AGENT_TUNNEL_PATH,
  agentClaimBytes,
  agentProofSchema,
  enrollRequestSchema,
  type FrameHeaders,
  newAgentId,
} from "@hoopish/protocol";
import { attachUpgrade, type Tunnel, type UpgradeDecision } from "@hoopish/tunnel";

/** The server's side of the contract with agents, as far as tests need it: enrolment, challenge, proof, tunnel. */
export interface TestGateway {
  readonly url: string;
  readonly origin: string;
  /** One-time tokens that may still be used, and the name each is for. */
  readonly tokens: Map<string, string>;
  /** Public keys that are let in (base64 of the raw 32 bytes). */
  readonly keys: Set<string>;
  /** What agents said first on each tunnel. */
  readonly hellos: FrameHeaders[];
  readonly instances: string[];
  /** Answers every tunnel request with this status instead. */
  refuseWith: number | undefined;
  challenges: number;
  /** The next tunnel of an agent, or the one that is open. */
  tunnel(): Promise<Tunnel>;
  close(): Promise<void>;
}

export interface GatewayOptions {
  /** What the server calls itself when it enrols; default where it listens. */
  readonly claimedOrigin?: string;
  /** PEM. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

export async function startGateway(options: GatewayOptions = {}): Promise<TestGateway> {
  const nonces = new Set<string>();
  const waiting: ((tunnel: Tunnel) => void)[] = [];
  let current: Tunnel | undefined;
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    void route(request, response).catch(() => response.destroy());
  };
  const server = options.tls === undefined ? createServer(listener) : createSecureServer(options.tls, listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const s = options.tls === undefined ? "" : "s";
  const origin = `http${s}://127.0.0.1:${port}`;

  const route = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await json(request);
    const reply = (status: number, value: object): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    };
    if (request.url === "/api/v1/agents/challenge") {
      gateway.challenges += 1;
      const nonce = `nonce-${crypto.randomUUID()}`;
      nonces.add(nonce);
      reply(200, { nonce, expiresAt: new Date(Date.now() + 60_000).toISOString() });
    } else if (request.url === "/api/v1/agents/enroll") {
      const { token, name, publicKey } = enrollRequestSchema.parse(body);
      if (gateway.tokens.get(token) !== name) {
        reply(401, { error: { code: "unauthenticated", message: "the token is not good", hint: "ask for a new one" } });
        return;
      }
      gateway.tokens.delete(token);
      gateway.keys.add(publicKey);
      const agent = { id: newAgentId(), name, publicKey, enrolledAt: new Date().toISOString(), instances: [] };
      reply(201, { agent, origin: options.claimedOrigin ?? origin });
    } else reply(404, { error: { code: "not_found", message: "no such thing" } });
  };

  const authorize = (request: IncomingMessage): UpgradeDecision => {
    if (gateway.refuseWith !== undefined) {
      return { reject: { status: gateway.refuseWith, body: { error: { code: "access_denied", message: "revoked" } } } };
    }
    const [scheme, encoded = ""] = (request.headers.authorization ?? "").split(" ");
    const proof = agentProofSchema.parse(JSON.parse(Buffer.from(encoded, "base64url").toString()));
    const { nonce, name, instance, publicKey, signature } = proof;
    const x = Buffer.from(publicKey, "base64").toString("base64url");
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    const claim = agentClaimBytes({ origin, nonce, name, instance });
    const good = scheme === AGENT_AUTH_SCHEME && nonces.delete(nonce) && gateway.keys.has(publicKey);
    if (!good || !verify(null, claim, key, Buffer.from(signature, "base64"))) {
      return { reject: { status: 401, body: { error: { code: "unauthenticated", message: "unknown key" } } } };
    }
    gateway.instances.push(instance);
    return {
      accept: {
        onStream: (stream) => {
          gateway.hellos.push(stream.headers);
          stream.handler = { onData() {}, onEnd: () => stream.end(), onReset() {} };
        },
      },
      onTunnel: (tunnel) => {
        current = tunnel;
        for (const resolve of waiting.splice(0)) resolve(tunnel);
      },
    };
  };
  const upgrades = attachUpgrade(server, { [AGENT_TUNNEL_PATH]: authorize });

  const gateway: TestGateway = {
    url: `ws${s}://127.0.0.1:${port}`,
    origin,
    tokens: new Map(),
    keys: new Set(),
    hellos: [],
    instances: [],
    refuseWith: undefined,
    challenges: 0,
    tunnel: () =>
      current?.state === "open" ? Promise.resolve(current) : new Promise((resolve) => waiting.push(resolve)),
    async close() {
      upgrades.close();
      server.close();
      server.closeAllConnections();
      await Promise.all([...upgrades.tunnels].map((tunnel) => tunnel.closed));
    },
  };
  return gateway;
}
