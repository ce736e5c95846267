import { APIS, PROTOCOLS } from "@hoopish/protocol";
import { z } from "zod";
import { PII_TYPES } from "../masking/types.ts";
import { isLogVkey, isWitnessKey, LOG_VKEY_ERROR, WITNESS_KEY_ERROR } from "./anchor-keys.ts";
import type { ConfigFile } from "./config-file.ts";
import { parseHttpUrl, parseListen } from "./endpoints.ts";
import { duration, flag, name, size, text, whole } from "./fields.ts";
import { isTimeZone } from "./time-zone.ts";
import { UNBUILT_STORE } from "./unbuilt.ts";
import { webhookKey } from "./webhook-key.ts";

/**
 * The configuration as it is written: shapes, ranges, defaults. What one part demands of another stands in
 * cross-checks.ts. Unknown keys are errors everywhere; messages never hold a value.
 */

/** RFC 7518 and RFC 8037 signature algorithms with a public key. `none` and the HS family prove nothing here. */
const ASYMMETRIC_ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const;
const DEFAULT_ALGORITHMS: (typeof ASYMMETRIC_ALGORITHMS)[number][] = ["RS256", "PS256", "ES256", "EdDSA"];

const algorithm = z.enum(ASYMMETRIC_ALGORITHMS, {
  error: ({ input }) =>
    typeof input === "string" && /^(none|hs\d+)$/i.test(input)
      ? "unsigned tokens and shared secrets prove nothing about who signed; name algorithms with a public key"
      : `write any of: ${ASYMMETRIC_ALGORITHMS.join(", ")}`,
});

const listenError = "write an address and a port, such as 127.0.0.1:8443 or [::1]:8443";
const listen = z.string({ error: listenError }).refine((value) => parseListen(value) !== undefined, listenError);

const urlError = (example: string): string => `write a URL such as ${example}, with no user name in it`;
const httpUrl = (example: string) =>
  z
    .string({ error: urlError(example) })
    .max(2_048, urlError(example))
    .refine((value) => parseHttpUrl(value) !== undefined, urlError(example));

const store = z
  .string({ error: "write sqlite:PATH" })
  .max(4_096, "write sqlite:PATH")
  .refine((value) => /^sqlite:(?!:memory:|file:)\S(.*\S)?$/.test(value), {
    error: ({ input }) => {
      if (/^postgres(ql)?:/i.test(String(input))) return UNBUILT_STORE;
      const memory = /:memory:/.test(String(input));
      return memory ? "evidence must outlive the process: write sqlite:PATH" : "write sqlite:PATH";
    },
  });

const file = text("the path of a file", 4_096);
const groups = z.array(text("the name of a group"));

const issuer = z.strictObject({
  issuer: httpUrl("https://login.bank.example"),
  kind: z.enum(["human", "service"]).default("human"),
  audience: text("the audience that its tokens for hoopish name"),
  clientId: text("the client id with which the CLI signs in").exactOptional(),
  clients: z.array(text("a client id")).default([]),
  scopes: z.array(text("a scope", 128).regex(/^\S+$/, "a scope has no spaces in it")).exactOptional(),
  flows: z
    .array(z.enum(["device", "browser"]))
    .min(1, "name a flow, or leave `flows` out")
    .exactOptional(),
  claims: z
    .strictObject({
      user: text("the name of a claim").exactOptional(),
      groups: text("the name of a claim").exactOptional(),
    })
    .default({}),
  algorithms: z.array(algorithm).min(1, "name an algorithm, or leave `algorithms` out").default(DEFAULT_ALGORITHMS),
  jwksUri: httpUrl("https://login.bank.example/jwks").exactOptional(),
});

const FUNCTION_ERROR = "write a function's name in lower case, such as predict_default, models.predict or models.*";
const functionNames = z
  .array(z.string().regex(/^(?:[a-z_][a-z0-9_$]*\.)?(?:[a-z_][a-z0-9_$]*|\*)$/, FUNCTION_ERROR))
  .max(256)
  .default([]);

const limits = z.strictObject({
  requestBytes: size("1B", "1GiB").prefault("4MiB"),
  responseBytes: size("1B", "16GiB").prefault("64MiB"),
  callSeconds: whole(1, 86_400).prefault(300),
  concurrentCalls: whole(1, 10_000).prefault(32),
  // Of one answer of a database: connection-checks.ts.
  responseRows: whole(1, 999_999_999).prefault(1_000_000),
});

const connection = z.strictObject({
  name: name("a name for the connection"),
  agent: name("the name of the agent that serves it"),
  protocol: z.enum(PROTOCOLS, "write http, grpc or postgres").default("http"),
  api: z.enum(APIS),
  limits: limits.prefault({}),
  requireReason: flag().prefault(false),
  idle: duration("1s", "7d").prefault("30m"),
  maxSession: duration("1s", "7d").prefault("8h"),
  evidence: z.enum(["overlap", "first"]).default("overlap"),
  uninspectable: z.enum(["block", "allow"]).default("block"),
  // What is one protocol's alone: connection-checks.ts.
  descriptors: z.array(file).max(32).default([]),
  opaque: z.enum(["block", "allow"]).default("block"),
  modelFunctions: functionNames,
  readFunctions: functionNames,
});

const approval = z.strictObject({
  groups: groups.min(1, "name a group whose members may approve"),
  quorum: whole(1, 20).prefault(1),
  wait: duration("0s", "1h").prefault("2m"),
  expires: duration("1s", "7d").prefault("1h"),
  scope: z.enum(["call", "session"]).default("call"),
  window: duration("1s", "1d").prefault("1h"),
  breakGlass: groups.default([]),
});

const amount = whole(1, 999_999_999);
const rate = z.strictObject({
  calls: amount.exactOptional(),
  rows: amount.exactOptional(),
  tokens: amount.exactOptional(),
  per: duration("1s", "31d", "1m, 1h or 1d"),
  by: z.enum(["user", "connection", "rule"]).default("user"),
});

const rule = z.strictObject({
  name: name("a name for the rule"),
  connections: z.array(text('the name of a connection, or "*"')).min(1, 'name a connection, or "*" for all'),
  groups: groups.default([]),
  users: z.array(text("a user")).default([]),
  services: z.array(text("a service")).default([]),
  // Whether it is one in CEL: rule-checks.ts.
  when: text("a condition in CEL, such as call.rows > 100", 4_096).exactOptional(),
  // biome-ignore lint/suspicious/noThenProperty: the contract's word; a schema is never awaited
  then: z.enum(["allow", "hold", "block"], "write allow, hold or block"),
  message: text("what a blocked caller is told", 500).exactOptional(),
  approval: approval.exactOptional(),
  rate: rate.exactOptional(),
});

const masking = z.strictObject({
  name: name("a name for the rule"),
  connections: z.array(text("the name of a connection")).min(1, 'name a connection, or "*" for all'),
  direction: z.enum(["request", "response"], "write request or response"),
  detect: z.array(z.enum(PII_TYPES, `write any of: ${PII_TYPES.join(", ")}`)).default([]),
  fields: z.array(text("a path, such as $.applicant.name", 512)).max(100).default([]),
  patterns: z
    .array(
      z.strictObject({
        type: z.string().regex(/^[A-Z][A-Z0-9_]{1,39}$/, "write a name in capitals, such as EMPLOYEE_ID"),
        regex: text("an RE2 expression", 1_024),
        maxLength: whole(1, 256),
      }),
    )
    .max(32)
    .default([]),
  analyzer: z
    .strictObject({
      url: httpUrl("http://127.0.0.1:5002"),
      entities: z
        .array(text("an entity of the analyzer, such as PERSON", 40))
        .min(1, "name what it is asked for, such as PERSON"),
      minScore: z.number().min(0).max(1).default(0.5),
      language: text("a language, such as en", 10).default("en"),
      deadline: duration("10ms", "60s").prefault("2s"),
    })
    .exactOptional(),
  action: z.union(
    [z.enum(["redact", "pseudonym", "block"]), z.strictObject({ mask: z.strictObject({ keepLast: whole(0, 16) }) })],
    "write redact, pseudonym, block or { mask: { keepLast: 4 } }",
  ),
});

const policyTest = z.strictObject({
  as: z.strictObject({
    user: text("a user"),
    groups: groups.default([]),
    kind: z.enum(["human", "service"]).default("human"),
  }),
  connection: text("the name of a connection"),
  session: z
    .strictObject({ reason: text("a reason").exactOptional(), ticket: text("a ticket").exactOptional() })
    .default({}),
  call: z.strictObject({
    kind: text("a kind of call, such as infer"),
    model: text("a model").exactOptional(),
    rows: whole(0, 999_999_999).exactOptional(),
    tokensRequested: whole(0, 999_999_999).exactOptional(),
    stream: flag().exactOptional(),
    method: text("a method").exactOptional(),
    path: text("a path", 1_024).exactOptional(),
    bytes: whole(0, 999_999_999).exactOptional(),
  }),
  json: z.unknown().optional(),
  time: z.iso
    .datetime({ offset: true, error: "write a time of RFC 3339, such as 2026-03-02T09:00:00Z" })
    .exactOptional(),
  expect: z.enum(["allow", "hold", "block"]),
  rule: text("the name of a rule").exactOptional(),
});

/** What an endpoint may hear of. */
const NOTICES = [
  "approval.requested",
  "approval.granted",
  "approval.denied",
  "approval.expired",
  "approval.used",
  "approval.reviewed",
  "approval.broke_glass",
] as const;
const STANDARD_NOTICES: (typeof NOTICES)[number][] = ["approval.requested", "approval.broke_glass"];

const secretError = "write whsec_ and base64 of 24 to 64 random bytes, as Standard Webhooks does";

/** What the parts demand of each other: notify-checks.ts. */
const notify = z.strictObject({
  name: name("a name for the endpoint"),
  url: httpUrl("https://hooks.bank.example/hoopish"),
  format: z.enum(["webhook", "slack", "teams"], "write webhook, slack or teams").default("webhook"),
  secret: z
    .string({ error: secretError })
    .refine((value) => webhookKey(value) !== undefined, secretError)
    .exactOptional(),
  events: z
    .array(z.enum(NOTICES, `write any of: ${NOTICES.join(", ")}`))
    .min(1, "name an event, or leave `events` out")
    .default(STANDARD_NOTICES),
  interactive: z
    .strictObject({
      signingSecret: text("the app's signing secret", 256).min(16, "a signing secret has at least 16 characters"),
      users: z.record(
        z.string().regex(/^[UW][A-Z0-9]{2,20}$/, "write Slack's id of a member, such as U024BE7LH"),
        text("the user as the identity provider names him", 256),
      ),
    })
    .exactOptional(),
});

const every = duration("1s", "1d").prefault("1m");

/** Exactly one of the three must be there: anchor-checks.ts. */
const anchor = z.strictObject({
  file: text("the path of a folder", 4_096).exactOptional(),
  witness: z
    .strictObject({
      url: httpUrl("https://witness.bank.example"),
      vkey: z.string({ error: WITNESS_KEY_ERROR }).refine(isWitnessKey, WITNESS_KEY_ERROR),
      every,
    })
    .exactOptional(),
  timestamp: z.strictObject({ url: httpUrl("http://timestamp.bank.example"), caFile: file, every }).exactOptional(),
  required: flag().prefault(false),
});

/** A call may last a day; below that its payload would be due while it runs. */
const kept = (standard: string) => duration("2d", "100y", "90d, 12w or 7y").prefault(standard);

const originError = "write a name for the log such as gateway.bank.example/hoopish: no scheme, no spaces, no +";

const fileSchema = z.strictObject({
  listen,
  publicUrl: httpUrl("https://gateway.bank.example"),
  tls: z.strictObject({ certFile: file, keyFile: file }).exactOptional(),
  trustProxy: flag().prefault(false),
  store,
  evidence: z.strictObject({
    // C2SP tlog-checkpoint: the origin is a schema-less URL, and may hold neither spaces nor "+".
    origin: z.string({ error: originError }).regex(/^(?!\w+:\/\/)[\x21-\x2a\x2c-\x7e]{1,255}$/, originError),
    keyFile: file.default("log.key"),
    vaultKeyFile: file.default("vault.key"),
    previousKeys: z.array(z.string({ error: LOG_VKEY_ERROR }).refine(isLogVkey, LOG_VKEY_ERROR)).default([]),
    anchors: z
      .array(anchor)
      .min(1, "name an anchor, or leave `anchors` out to have a file beside the store")
      .exactOptional(),
  }),
  retention: z.strictObject({ default: kept("90d"), heldOrBlocked: kept("1y"), records: kept("7y") }).prefault({}),
  identity: z.strictObject({
    issuers: z.array(issuer).min(1, "without an issuer nobody can sign in"),
    clockTolerance: duration("0s", "5m").prefault("30s"),
    insecureStorage: flag().prefault(false),
  }),
  roles: z.strictObject({ admin: groups.default([]), auditor: groups.default([]) }).prefault({}),
  connections: z.array(connection),
  rules: z.array(rule),
  masking: z.array(masking).default([]),
  tests: z.array(policyTest).default([]),
  notify: z.array(notify).default([]),
  timeZone: text("a time zone, such as Europe/Berlin")
    .refine(isTimeZone, "write a time zone of IANA's list, such as Europe/Berlin")
    .default("UTC"),
  drain: duration("0s", "10m").prefault("20s"),
  logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
});

export const configFileSchema: z.ZodType<ConfigFile> = fileSchema;

/**
 * The JSON Schema (draft 2020-12) of the file as it is written, for editors: every scalar may also be a `${env:X}` or
 * `${file:P}`, which is put in before the rest is checked.
 */
export function configJsonSchema(): object {
  const schema = z.toJSONSchema(fileSchema, {
    io: "input",
    override: ({ jsonSchema }) => {
      const scalar = jsonSchema.type === "string" || jsonSchema.enum !== undefined;
      if (!scalar || (jsonSchema.pattern === undefined && jsonSchema.enum === undefined)) return;
      const { default: standard, ...written } = jsonSchema;
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key];
      Object.assign(jsonSchema, { anyOf: [written, { type: "string", pattern: "\\$\\{(env|file):" }] });
      if (standard !== undefined) jsonSchema.default = standard;
    },
  });
  return { title: "hoopish-server configuration", ...schema };
}
