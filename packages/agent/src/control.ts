import {
  type ChallengeReply,
  challengeReplySchema,
  type EnrollReply,
  type EnrollRequest,
  enrollReplySchema,
  errorBodySchema,
  HoopishError,
  isErrorCode,
  serverOrigin,
} from "@hoopish/protocol";
import { proxyFor } from "@hoopish/tunnel";
import { Agent, type Dispatcher, ProxyAgent, request } from "undici";
import type { z } from "zod";
import { codeOf } from "./error-code.ts";

/** How the server's control API is reached. */
export interface ControlOptions {
  readonly server: string;
  readonly serverCa: string | undefined;
  /** HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY are taken from here. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal | undefined;
}

const TIMEOUT_MS = 15_000;
const MAX_REPLY_BYTES = 64 * 1024;

/** The server answered with an error; `status` is HTTP's. */
export class ControlRefusal extends HoopishError {
  readonly status: number;
  constructor(status: number, ...rest: ConstructorParameters<typeof HoopishError>) {
    super(...rest);
    this.status = status;
  }
}

/** Asks for a nonce to sign. @throws HoopishError unreachable; ControlRefusal */
export function fetchChallenge(options: ControlOptions): Promise<ChallengeReply> {
  return post(options, "/api/v1/agents/challenge", {}, challengeReplySchema);
}

/** Hands in the one-time token with the public half of the key. @throws HoopishError unreachable; ControlRefusal */
export function enroll(options: ControlOptions, body: EnrollRequest): Promise<EnrollReply> {
  return post(options, "/api/v1/agents/enroll", body, enrollReplySchema);
}

async function post<T>(options: ControlOptions, path: string, body: object, schema: z.ZodType<T>): Promise<T> {
  const url = new URL(path, serverOrigin(options.server));
  const dispatcher = createDispatcher(url, options);
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const answer = await request(url, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify(body),
      dispatcher,
      signal: options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]),
    });
    const value = await readJson(answer);
    if (answer.statusCode !== 200 && answer.statusCode !== 201) throw refusal(answer.statusCode, value);
    const parsed = schema.safeParse(value);
    if (!parsed.success) throw new HoopishError("unreachable", `${url.host} does not answer as a hoopish server`);
    return parsed.data;
  } catch (error) {
    throw error instanceof HoopishError ? error : unreachable(url, error, timeout.aborted);
  } finally {
    // Not close(): a proxy that holds the connection open would hold the agent's exit up.
    void dispatcher.destroy();
  }
}

function createDispatcher(url: URL, { serverCa, env }: ControlOptions): Dispatcher {
  const tls = serverCa === undefined ? {} : { ca: serverCa };
  const proxy = proxyFor(url, env);
  const limits = { maxResponseSize: MAX_REPLY_BYTES, allowH2: false };
  if (proxy === undefined) return new Agent({ ...limits, connect: tls });
  return new ProxyAgent({ ...limits, uri: proxy.href, requestTls: tls, proxyTunnel: true });
}

async function readJson(answer: Dispatcher.ResponseData): Promise<unknown> {
  const text = await answer.body.text();
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusal(status: number, value: unknown): ControlRefusal {
  const parsed = errorBodySchema.safeParse(value);
  if (!parsed.success) return new ControlRefusal(status, "unreachable", `the server answered with status ${status}`);
  const { code, message, hint } = parsed.data.error;
  return new ControlRefusal(
    status,
    isErrorCode(code) ? code : "unreachable",
    message,
    hint === undefined ? {} : { hint },
  );
}

function unreachable(url: URL, error: unknown, late: boolean): HoopishError {
  const reason = late ? `no answer within ${TIMEOUT_MS / 1000} s` : codeOf(error);
  return new HoopishError("unreachable", `cannot reach ${url.origin} (${reason})`, {
    hint: "check server, serverCa and HTTPS_PROXY",
    cause: error,
  });
}
