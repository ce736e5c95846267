import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { HoopishError } from "@hoopish/protocol";
import * as oidc from "openid-client";
import { type Issuer, issuerError } from "./issuer.ts";

/** How long the person has in the browser. */
const WAIT_MS = 10 * 60_000;

/**
 * Authorization code with PKCE (RFC 7636), state and nonce, answered on a loopback port (RFC 8252 §7.3).
 * @param show prints, and perhaps opens, the address; called once
 * @throws HoopishError unauthenticated (denied, not finished in time), unreachable
 */
export async function signInWithBrowser(
  issuer: Issuer,
  scopes: readonly string[],
  show: (url: string) => void,
  signal: AbortSignal,
): Promise<oidc.TokenEndpointResponse> {
  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  const nonce = oidc.randomNonce();
  const name = issuer.serverMetadata().issuer;
  const server = createServer();
  try {
    const redirectUri = await listen(server);
    const url = oidc.buildAuthorizationUrl(issuer, {
      scope: scopes.join(" "),
      redirect_uri: redirectUri,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state,
      nonce,
      // An OpenID provider gives a refresh token only with consent (OpenID Connect Core §11).
      ...(scopes.includes("offline_access") && { prompt: "consent" }),
    });
    const answer = nextAnswer(server, redirectUri, state, signal);
    show(url.href);
    const { at, finish } = await answer;
    try {
      const tokens = await oidc.authorizationCodeGrant(issuer, at, {
        pkceCodeVerifier: verifier,
        expectedState: state,
        expectedNonce: nonce,
        idTokenExpected: scopes.includes("openid"),
      });
      await finish(true);
      return tokens;
    } catch (error) {
      await finish(false);
      throw issuerError(error, name);
    }
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** An address and not `localhost`, which another program may answer on ::1 (RFC 8252 §8.3). */
async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`;
}

interface Answer {
  readonly at: URL;
  /** Tells the browser how it ended; settles when the page is out. */
  finish(good: boolean): Promise<void>;
}

/**
 * The identity provider's redirect. Whatever else reaches the port, such as a page or program that guesses, is refused
 * and does not end the waiting: only the answer with our state counts, and only the first.
 */
function nextAnswer(server: Server, redirectUri: string, state: string, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(
        new HoopishError("unauthenticated", "the sign-in was not finished in the browser in time", {
          hint: "hoopish login",
        }),
      );
    }, WAIT_MS);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    server.on("close", () => clearTimeout(timer));
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      const at = new URL(request.url ?? "/", redirectUri);
      const { host, pathname } = new URL(redirectUri);
      const ours = request.method === "GET" && request.headers.host === host && at.pathname === pathname;
      if (!ours || at.searchParams.get("state") !== state) {
        return void sendPage(
          response,
          404,
          "Nothing is here",
          "This address waits for a sign-in that has not come yet.",
        );
      }
      server.removeAllListeners("request");
      resolve({
        at,
        finish: (good) =>
          good
            ? sendPage(response, 200, "You are signed in", "You can close this window and go back to your terminal.")
            : sendPage(response, 400, "You are not signed in", "Your terminal says why. You can close this window."),
      });
    });
  });
}

/** Our own words only: nothing of the request is in the page, and nothing is loaded from anywhere. */
function sendPage(response: ServerResponse, status: number, title: string, text: string): Promise<void> {
  response.writeHead(status, {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    connection: "close",
  });
  const style = "font:1.1rem/1.5 system-ui,sans-serif;margin:20vh auto;max-width:30rem;padding:1rem";
  const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>hoopish: ${title}</title><body style="${style}"><h1>${title}</h1><p>${text}</p>`;
  return new Promise((resolve) => {
    response.on("close", resolve);
    response.end(page);
  });
}
