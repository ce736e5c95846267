import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";
import type { IssuerConfig } from "../../config/config.ts";

/** What tests sign with, and what an attacker may have made for himself. */
export interface Signer {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

export async function makeSigner(alg: string, kid: string): Promise<Signer> {
  const pair = await generateKeyPair(alg, { extractable: true });
  const publicJwk = { ...(await exportJWK(pair.publicKey)), kid, alg, use: "sig" };
  return { kid, alg, privateKey: pair.privateKey, publicJwk };
}

/** The issuer's half of a conversation: a discovery document and keys over real HTTP, and every way to fail at it. */
export class IssuerStandIn {
  readonly url: string;
  readonly requests: string[] = [];
  signers: Signer[];
  /** Answers in place of the ordinary ones, by path. */
  readonly overrides: Map<string, (response: ServerResponse) => void> = new Map();
  down: boolean = false;
  readonly #server: Server;

  private constructor(server: Server, signers: Signer[]) {
    this.#server = server;
    this.signers = signers;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (request, response) => this.#answer(request, response));
  }

  static async start(...signers: Signer[]): Promise<IssuerStandIn> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new IssuerStandIn(server, signers);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Requests for keys since the start. */
  get keyRequests(): number {
    return this.requests.filter((path) => path === "/jwks").length;
  }

  config(overrides: Partial<IssuerConfig> = {}): IssuerConfig {
    return {
      issuer: this.url,
      kind: "human",
      audience: "hoopish",
      clientId: "hoopish-cli",
      clients: [],
      scopes: ["openid"],
      flows: ["device"],
      claims: { user: "email", groups: "groups" },
      algorithms: ["RS256", "PS256", "ES256", "EdDSA"],
      jwksUri: undefined,
      ...overrides,
    };
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? "";
    this.requests.push(path);
    const override = this.overrides.get(path);
    if (this.down) response.writeHead(503).end();
    else if (override !== undefined) override(response);
    else if (path === "/.well-known/openid-configuration") {
      sendJson(response, { issuer: this.url, jwks_uri: `${this.url}/jwks` });
    } else if (path === "/jwks") sendJson(response, { keys: this.signers.map((signer) => signer.publicJwk) });
    else response.writeHead(404).end();
  }
}

export function sendJson(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** Claims of a good access token of a person at `nowMs`. */
export function goodClaims(issuer: string, nowMs: number): JWTPayload {
  const now = Math.floor(nowMs / 1_000);
  return {
    iss: issuer,
    sub: "u-1",
    aud: "hoopish",
    exp: now + 600,
    iat: now,
    azp: "hoopish-cli",
    email: "ada@bank.example",
    name: "Ada",
    groups: ["data-science", "all-staff"],
  };
}

export function sign(claims: JWTPayload, signer: Signer, header: Record<string, unknown> = {}): Promise<string> {
  const whole = { alg: signer.alg, kid: signer.kid, typ: "at+jwt", ...header };
  return new SignJWT(claims).setProtectedHeader(whole).sign(signer.privateKey);
}
