import { connectionListSchema, type Discovery, discoverySchema, HoopishError, whoamiSchema } from "@hoopish/protocol";
import { proxyFor } from "@hoopish/tunnel";
import { probeKeychain } from "../auth/keychain.ts";
import type { Context } from "../context.ts";
import { formatDistance } from "../terminal/units.ts";
import type { Check } from "./check.ts";
import { logChecks } from "./doctor-log.ts";

/** Beyond it tokens are refused as not yet valid or already ended: identity providers and servers allow about a minute. */
const MAX_SKEW_MS = 30_000;

/** In the order in which they depend on each other; what depends on a failed one is left out. */
export async function* runChecks(context: Context): AsyncGenerator<Check> {
  yield nodeVersion(context);
  yield tlsVerified(context);
  const server = await attempt(() => context.server());
  if (!server.ok) return yield failed("server", server.error);
  yield proxy(context, server.value);
  const reached = await attempt(() => reach(context, server.value));
  if (!reached.ok) {
    yield failed("server", reached.error);
    return yield await keychain(context, undefined);
  }
  const { discovery, skewMs } = reached.value;
  const how = server.value.startsWith("https:") ? "over TLS" : "without TLS, on this machine";
  yield { name: "server", ok: true, detail: `${server.value} answers ${how} (hoopish ${discovery.version})` };
  yield clock(skewMs);
  yield await keychain(context, discovery);
  const token = await attempt(() => identity(context));
  if (!token.ok) return yield failed("token", token.error);
  yield token.value;
  const log = await attempt(async () => logChecks(context, await context.api()));
  if (log.ok) yield* log.value;
  else yield failed("log", log.error);
  const agents = await attempt(() => agentsOnline(context));
  yield agents.ok ? agents.value : failed("agents", agents.error);
}

function nodeVersion({ world }: Context): Check {
  const major = Number(world.nodeVersion.split(".")[0]);
  if (major >= 24) return { name: "node", ok: true, detail: world.nodeVersion };
  return { name: "node", ok: false, detail: `${world.nodeVersion} is too old`, remedy: "install Node 24 or newer" };
}

function tlsVerified({ world: { env } }: Context): Check {
  const name = "certificates";
  if (env.NODE_TLS_REJECT_UNAUTHORIZED === "0") {
    const detail = "NODE_TLS_REJECT_UNAUTHORIZED=0: no server's certificate is checked";
    return { name, ok: false, detail, remedy: "unset it, and point NODE_EXTRA_CA_CERTS at the bank's CA file" };
  }
  const extra = env.NODE_EXTRA_CA_CERTS ? `, and those in ${env.NODE_EXTRA_CA_CERTS}` : "";
  return { name, ok: true, detail: `those that Node trusts${extra}` };
}

function proxy({ world }: Context, server: string): Check {
  const name = "proxy";
  const found = proxyFor(server, world.env);
  if (found === undefined) return { name, ok: true, detail: "none is used for the server" };
  // Its password is nobody's business here.
  return { name, ok: true, detail: `${found.protocol}//${found.host} is used for the server` };
}

async function reach(context: Context, server: string): Promise<{ discovery: Discovery; skewMs: number | undefined }> {
  const http = await context.http();
  const sentAtMs = context.world.now();
  const { headers, body } = await http.request(`${server}/.well-known/hoopish`);
  const nowMs = context.world.now();
  const date = Date.parse(String(headers.date));
  const parsed = discoverySchema.safeParse(await body.json().catch(() => undefined));
  if (!parsed.success) {
    throw new HoopishError("unreachable", `${server} answers, but not as a hoopish server`, {
      hint: "check the address; a proxy or portal may be in between",
    });
  }
  // The Date header has whole seconds, so half a second is added; the middle of the exchange is when it was made.
  const skewMs = Number.isNaN(date) ? undefined : date + 500 - (sentAtMs + nowMs) / 2;
  return { discovery: parsed.data, skewMs };
}

function clock(skewMs: number | undefined): Check {
  const name = "clock";
  if (skewMs === undefined) return { name, ok: true, detail: "the server does not tell its time" };
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  if (Math.abs(skewMs) <= MAX_SKEW_MS) return { name, ok: true, detail: `${seconds} s from the server's` };
  const detail = `${seconds} s ${skewMs > 0 ? "behind" : "ahead of"} the server's`;
  return { name, ok: false, detail, remedy: "synchronise this machine's clock (NTP)" };
}

async function keychain(context: Context, discovery: Discovery | undefined): Promise<Check> {
  const name = "keychain";
  const { env } = context.world;
  const state = await probeKeychain(context.world);
  if (state.usable) return { name, ok: true, detail: "it answers and takes secrets" };
  if (env.HOOPISH_TOKEN || env.HOOPISH_TOKEN_FILE) return { name, ok: true, detail: `none, and none is needed here` };
  if (discovery?.insecureStorage) return { name, ok: true, detail: "none; the server allows a 0600 file" };
  const kept = Object.values((await context.settings()).read().storage ?? {});
  if (kept.length > 0 && !kept.includes("keychain")) return { name, ok: true, detail: "none; a 0600 file is used" };
  return {
    name,
    ok: false,
    detail: state.why,
    remedy: "start or unlock it (Linux: gnome-keyring or KWallet), or hoopish login --insecure-storage",
  };
}

async function identity(context: Context): Promise<Check> {
  const { origin } = await context.tokens();
  const who = await (await context.api()).get("/api/v1/whoami", whoamiSchema);
  const ends = formatDistance(who.expiresAt, context.world.now());
  return { name: "token", ok: true, detail: `${who.user}, ends ${ends}, from ${origin}` };
}

async function agentsOnline(context: Context): Promise<Check> {
  const { connections } = await (await context.api()).get("/api/v1/connections", connectionListSchema);
  const name = "agents";
  if (connections.length === 0) return { name, ok: true, detail: "you may use no connection" };
  const offline = connections.filter(({ online }) => !online).map((connection) => connection.name);
  if (offline.length === 0)
    return { name, ok: true, detail: `online for all of your ${connections.length} connections` };
  const remedy = "tell the platform team: the agent beside the model is not connected";
  return { name, ok: false, detail: `none is online for ${offline.join(", ")}`, remedy };
}

type Attempt<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: HoopishError };

async function attempt<T>(work: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    if (error instanceof HoopishError) return { ok: false, error };
    throw error;
  }
}

function failed(name: string, { message, hint }: HoopishError): Check {
  return { name, ok: false, detail: message, ...(hint !== undefined && { remedy: hint }) };
}
