import { agentNameSchema, PROTOCOLS, type Protocol, parseDurationMs } from "@hoopish/protocol";
import { z } from "zod";
import { LOG_LEVELS, type LogLevel, type Target } from "./config.ts";
import { parseTarget } from "./target.ts";

/** Who the agent is and where its server is: all that joining needs. */
export interface IdentityFile {
  readonly server: string;
  readonly serverCa?: string;
  readonly allowPlainServer: boolean;
  readonly name: string;
  readonly keyFile: string;
}
/** The file as it is written, with defaults put in and durations as milliseconds. References are resolved before. */
export interface AgentFile extends IdentityFile {
  readonly connections: readonly ConnectionFile[];
  readonly drain: number;
  readonly logLevel: LogLevel;
}
export interface ConnectionFile {
  readonly name: string;
  readonly protocol?: Protocol;
  readonly target: Target;
  readonly tls?: TlsFile;
  readonly credential?: CredentialFile;
  readonly pool: { readonly connections: number; readonly keepAlive: number };
  readonly maxCalls: number;
  readonly connectTimeout: number;
  readonly headersTimeout: number;
}
export interface TlsFile {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}
export interface CredentialFile {
  readonly header?: string;
  readonly basic?: string;
  readonly query?: string;
  readonly postgres?: string;
  readonly value?: string;
  readonly file?: string;
  readonly command?: readonly string[];
  readonly prefix?: string;
  readonly refresh?: number;
  readonly timeout?: number;
}

const text = z.string().min(1);
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

const NOT_A_DURATION = "not a duration; write 250ms, 30s or 15m";

const duration = (least: string, most: string) =>
  z.string(NOT_A_DURATION).transform((written, ctx) => {
    try {
      const ms = parseDurationMs(written);
      if (ms >= parseDurationMs(least) && ms <= parseDurationMs(most)) return ms;
      ctx.addIssue(`must be between ${least} and ${most}`);
    } catch {
      ctx.addIssue(NOT_A_DURATION);
    }
    return z.NEVER;
  });

const server = z.string().transform((written, ctx) => {
  const url = URL.canParse(written) ? new URL(written) : undefined;
  if (url === undefined || !["wss:", "ws:", "https:", "http:"].includes(url.protocol)) {
    ctx.addIssue("not a server address; write wss://gateway.bank.example");
  } else if (url.username !== "" || url.password !== "") {
    ctx.addIssue("a server address carries no credential; the agent proves itself with its key");
  } else if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    ctx.addIssue("a server address is scheme, host and port only");
  } else {
    return `${url.protocol === "wss:" || url.protocol === "https:" ? "wss" : "ws"}://${url.host}`;
  }
  return z.NEVER;
});

const target = z.string().transform((written, ctx): Target => {
  const parsed = parseTarget(written);
  if (typeof parsed !== "string") return parsed;
  ctx.addIssue(parsed);
  return z.NEVER;
});

const credential = z
  .strictObject({
    header: z.string().regex(TOKEN, "not a header name").exactOptional(),
    basic: text.regex(/^[^:]*$/, "a user name holds no colon (RFC 7617)").exactOptional(),
    query: text.exactOptional(),
    postgres: text.max(63).exactOptional(),
    value: text.exactOptional(),
    file: text.exactOptional(),
    command: z.array(z.string()).min(1).exactOptional(),
    prefix: z.string().exactOptional(),
    refresh: duration("1s", "1d").exactOptional(),
    timeout: duration("100ms", "2m").exactOptional(),
  })
  .superRefine((it, ctx) => {
    const places = [it.header, it.basic, it.query, it.postgres].filter((place) => place !== undefined);
    if (places.length !== 1) ctx.addIssue("says where it goes with exactly one of header, basic, query and postgres");
    const sources = [it.value, it.file, it.command].filter((source) => source !== undefined);
    if (sources.length !== 1) ctx.addIssue("says where it comes from with exactly one of value, file and command");
    if (it.header !== undefined && FRAMING.has(it.header.toLowerCase())) {
      ctx.addIssue({ code: "custom", path: ["header"], message: "this header belongs to HTTP itself" });
    }
    const misplaced = (key: "refresh" | "timeout"): void => {
      if (it[key] !== undefined && it.command === undefined) {
        ctx.addIssue({ code: "custom", path: [key], message: "only a command has it" });
      }
    };
    misplaced("refresh");
    misplaced("timeout");
    if (it.prefix !== undefined && it.value !== undefined) {
      ctx.addIssue({ code: "custom", path: ["prefix"], message: "write it into value" });
    }
  });

/** Headers that say how a message is framed or where it goes; a credential there would change what is asked of whom. */
const FRAMING: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Where a credential can go, by what the target speaks. */
const PLACES: Readonly<Record<Protocol, readonly string[]>> = {
  http: ["header", "basic", "query"],
  grpc: ["header", "basic"],
  postgres: ["postgres"],
};

const connection = z
  .strictObject({
    name: text.max(128),
    protocol: z.enum(PROTOCOLS).exactOptional(),
    target,
    tls: z
      .strictObject({ ca: text.exactOptional(), cert: text.exactOptional(), key: text.exactOptional() })
      .exactOptional(),
    credential: credential.exactOptional(),
    pool: z
      .strictObject({
        connections: z.number().int().min(1).max(4096).default(64),
        keepAlive: duration("100ms", "10m").default(4_000),
      })
      .prefault({}),
    maxCalls: z.number().int().min(1).max(65_536).default(256),
    connectTimeout: duration("10ms", "2m").default(5_000),
    headersTimeout: duration("10ms", "1d").default(0),
  })
  .superRefine((it, ctx) => {
    const { target: to, protocol = to?.protocol, credential: shown } = it;
    const wrong = (path: string[], message: string): void => ctx.addIssue({ code: "custom", path, message });
    if (to !== undefined && protocol !== to.protocol) {
      wrong(["protocol"], `the target is one of ${to.protocol}: leave protocol out, or change the target's scheme`);
    }
    const place = (["header", "basic", "query", "postgres"] as const).find((key) => shown?.[key] !== undefined);
    if (to !== undefined && place !== undefined && !PLACES[to.protocol].includes(place)) {
      wrong(["credential", place], `for a target of ${to.protocol} write ${PLACES[to.protocol].join(" or ")}`);
    }
    if (it.tls === undefined) return;
    if (to !== undefined && to.protocol !== "postgres" && !to.secure) {
      wrong(["tls"], `the target is plain ${to.protocol}: write ${to.protocol}s://`);
    }
    if ((it.tls.cert === undefined) !== (it.tls.key === undefined)) {
      ctx.addIssue({ code: "custom", path: ["tls"], message: "a client certificate needs both cert and key" });
    }
  });

const identity = {
  server,
  serverCa: text.exactOptional(),
  allowPlainServer: z.boolean().default(false),
  name: agentNameSchema,
  keyFile: text,
};

function checkServer(it: IdentityFile, ctx: z.RefinementCtx): void {
  if (!it.server?.startsWith("ws:") || it.allowPlainServer || isLoopback(new URL(it.server).hostname)) return;
  const message = "plain ws:// is for loopback; write wss://, or allowPlainServer: true if the network is protected";
  ctx.addIssue({ code: "custom", path: ["server"], message });
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}

const file = z
  .strictObject({
    ...identity,
    connections: z.array(connection).min(1),
    drain: duration("0s", "1h").default(30_000),
    logLevel: z.enum(LOG_LEVELS).default("info"),
  })
  .superRefine((it, ctx) => {
    checkServer(it, ctx);
    const seen = new Set<string>();
    it.connections.forEach(({ name }, index) => {
      if (seen.has(name)) {
        ctx.addIssue({ code: "custom", path: ["connections", index, "name"], message: `"${name}" stands here twice` });
      }
      seen.add(name);
    });
  });

/** The shape of an agent's configuration file. Unknown keys are mistakes. */
export const agentFileSchema: z.ZodType<AgentFile> = file;

export const IDENTITY_KEYS: readonly string[] = Object.keys(identity);
export const identityFileSchema: z.ZodType<IdentityFile> = z.strictObject(identity).superRefine(checkServer);
