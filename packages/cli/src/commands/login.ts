import {
  type DiscoveredIssuer,
  type Discovery,
  discoverySchema,
  HoopishError,
  type SignInFlow,
  whoamiSchema,
} from "@hoopish/protocol";
import type { TokenEndpointResponse } from "openid-client";
import type { DeviceCode } from "../auth/device-flow.ts";
import { discoverIssuer, type Issuer, toStoredTokens } from "../auth/issuer.ts";
import { probeKeychain } from "../auth/keychain.ts";
import { hasDesktop, openBrowser } from "../auth/open-browser.ts";
import { createVault } from "../auth/token-source.ts";
import type { VaultKind } from "../auth/vault.ts";
import type { Context } from "../context.ts";
import { ApiClient } from "../http/api-client.ts";

export interface LoginOptions {
  readonly browser?: boolean;
  readonly device?: boolean;
  /** commander's form of `--no-open`. */
  readonly open: boolean;
  readonly insecureStorage?: boolean;
  readonly issuer?: string;
}

/** Signs a person in with the bank's identity provider, and keeps the tokens only when the server takes them too. */
export async function login(context: Context, options: LoginOptions): Promise<void> {
  const server = await context.server();
  const http = await context.http();
  const discovery = await new ApiClient(http, server, undefined).get("/.well-known/hoopish", discoverySchema);
  const chosen = chooseIssuer(discovery, options.issuer);
  const flow = chooseFlow(chosen, options);
  // Before the person does anything: a sign-in that cannot be kept is a waste of it.
  const storage = await chooseStorage(context, discovery, options);

  const issuer = await discoverIssuer(http, chosen.issuer, chosen.clientId);
  const response = await signIn(context, issuer, chosen, flow, options);
  // Asked a moment ago, by the flow's last request: the times of a first sign-in need not be better than that.
  const tokens = toStoredTokens(response, context.world.now(), {
    server,
    issuer: issuer.serverMetadata().issuer,
    clientId: chosen.clientId,
  });
  const who = await new ApiClient(http, server, async () => tokens.accessToken).get("/api/v1/whoami", whoamiSchema);
  await createVault(context, server, storage).write(JSON.stringify(tokens));
  (await context.settings()).update((now) => ({ ...now, server, storage: { ...now.storage, [server]: storage } }));

  const { user, name, groups, expiresAt } = who;
  const event = { event: "signed_in", server, issuer: tokens.issuer, user, name, groups, expiresAt, storage };
  context.output.event(event, (safe, style) => [
    `${style.good("✓")} Signed in to ${safe.server} as ${style.strong(safe.user)}`,
    ...(storage === "file" ? [`  Your tokens are in a file in ${context.configDir}: there is no keychain here.`] : []),
  ]);
  for (const name of ["HOOPISH_TOKEN", "HOOPISH_TOKEN_FILE"]) {
    if (context.world.env[name]) context.output.warn(`${name} is set, and is used instead of this sign-in`);
  }
}

function chooseIssuer(discovery: Discovery, wanted: string | undefined): DiscoveredIssuer {
  const names = discovery.issuers.map(({ issuer }) => issuer);
  const found = wanted === undefined ? discovery.issuers[0] : discovery.issuers.find((one) => one.issuer === wanted);
  if (found !== undefined) return found;
  if (names.length === 0) {
    throw new HoopishError("configuration", "the server names no identity provider where people sign in", {
      hint: "workloads set HOOPISH_TOKEN or HOOPISH_TOKEN_FILE",
    });
  }
  throw new HoopishError("usage", `the server does not know the issuer ${wanted}`, { hint: names.join(", or ") });
}

/** The bank's first flow, or the one that was asked for, if the bank allows it. */
function chooseFlow({ flows }: DiscoveredIssuer, options: LoginOptions): SignInFlow {
  if (options.browser && options.device) {
    throw new HoopishError("usage", "--browser and --device exclude each other", { hint: "give one of them" });
  }
  const wanted = options.browser ? "browser" : options.device ? "device" : flows[0];
  if (wanted !== undefined && flows.includes(wanted)) return wanted;
  throw new HoopishError("access_denied", `the bank does not allow signing in with the ${wanted} flow`, {
    hint: `hoopish login --${flows[0]}`,
  });
}

async function chooseStorage(context: Context, discovery: Discovery, options: LoginOptions): Promise<VaultKind> {
  const keychain = await probeKeychain(context.world);
  if (keychain.usable) return "keychain";
  if (options.insecureStorage || discovery.insecureStorage) return "file";
  throw new HoopishError("not_found", `there is no keychain to keep your sign-in in: ${keychain.why}`, {
    hint: "start or unlock it (Linux: gnome-keyring or KWallet), or accept a 0600 file with --insecure-storage",
  });
}

function signIn(
  context: Context,
  issuer: Issuer,
  { scopes }: DiscoveredIssuer,
  flow: SignInFlow,
  options: LoginOptions,
): Promise<TokenEndpointResponse> {
  const { world, output } = context;
  const mayOpen = options.open && !output.json && world.stderr.isTTY === true && hasDesktop(world);
  const open = (url: string): void => {
    if (mayOpen) openBrowser(world, url);
  };
  if (flow === "device") {
    const show = (code: DeviceCode): void => {
      output.event({ event: "device_code", ...code }, (safe, style) => [
        `Open ${style.strong(safe.verification_uri)}`,
        `and enter the code ${style.strong(safe.user_code)}`,
        ...(safe.verification_uri_complete ? [style.faint(`or open ${safe.verification_uri_complete}`)] : []),
      ]);
      open(code.verification_uri_complete ?? code.verification_uri);
    };
    return import("../auth/device-flow.ts").then((m) => m.signInWithDevice(issuer, scopes, show, context.signal));
  }
  const show = (url: string): void => {
    output.event({ event: "authorization_url", url }, (safe) => [
      "Open this address in a browser on this machine:",
      safe.url,
    ]);
    open(url);
  };
  return import("../auth/browser-flow.ts").then((m) => m.signInWithBrowser(issuer, scopes, show, context.signal));
}
