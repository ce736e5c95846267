import {
  ERROR_SHAPES,
  type ErrorCode,
  errorBodySchema,
  HoopishError,
  isErrorCode,
  type WorkLine,
  workLineSchema,
} from "@hoopish/protocol";
import type { Dispatcher } from "undici";
import type { ZodType } from "zod";
import type { Http, HttpRequest } from "./http.ts";
import { networkError } from "./network-error.ts";

/** A list's page or a call's story; payloads and exports are streams and have no such limit. */
const MAX_DOCUMENT_BYTES = 32 * 1024 * 1024;

/** An export may have to be gathered before it begins, and pauses while the disk is slow. */
export const MAX_STREAM_SILENCE_MS = 120_000;

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** The control API of one server (control-api.ts of @hoopish/protocol). */
export class ApiClient {
  readonly #http: Http;
  readonly #server: string;
  readonly #token: (() => Promise<string>) | undefined;

  /** @param token absent for what needs none: discovery */
  constructor(http: Http, server: string, token: (() => Promise<string>) | undefined) {
    this.#http = http;
    this.#server = server;
    this.#token = token;
  }

  /** @throws HoopishError the server's own error, or `unreachable` */
  async get<T>(path: string, schema: ZodType<T>, query: Query = {}): Promise<T> {
    return this.#document(await this.#request(withQuery(path, query), {}), schema);
  }

  /** A document that is not JSON, such as a signed note. */
  async text(path: string): Promise<string> {
    return this.#text(await this.#request(path, { headers: { accept: "text/plain" } }));
  }

  async post<T>(path: string, body: object, schema: ZodType<T>): Promise<T> {
    const headers = { "content-type": "application/json" };
    return this.#document(await this.#request(path, { method: "POST", body: JSON.stringify(body), headers }), schema);
  }

  async delete<T>(path: string, schema: ZodType<T>, query: Query = {}): Promise<T> {
    return this.#document(await this.#request(withQuery(path, query), { method: "DELETE" }), schema);
  }

  /**
   * Asks for something that takes its time: the answer shows signs of life until it is done.
   * @throws HoopishError the server's own, then too; unreachable when the answer breaks off before that
   */
  async work<T>(method: "GET" | "POST", path: string, schema: ZodType<T>): Promise<T> {
    const response = await this.#request(path, { method, timeoutMs: 120_000 });
    let last: WorkLine<T> | undefined;
    try {
      const lines = (await this.#text(response)).trim().split("\n");
      last = workLineSchema(schema).parse(JSON.parse(lines.at(-1) ?? ""));
    } catch (cause) {
      if ((cause as Error).name === "AbortError") throw cause;
      throw brokenOff(cause);
    }
    if ("done" in last) return last.done;
    if (!("error" in last)) throw brokenOff(undefined);
    const { code, message, hint } = last.error;
    throw new HoopishError(isErrorCode(code) ? code : "internal", message, hint === undefined ? {} : { hint });
  }

  /** A body of any length. Reading it fails when the server breaks off. */
  async stream(
    path: string,
    query: Query = {},
    silenceMs: number = MAX_STREAM_SILENCE_MS,
  ): Promise<Dispatcher.ResponseData> {
    return this.#request(withQuery(path, query), { timeoutMs: Math.round(silenceMs) });
  }

  async #request(path: string, options: HttpRequest): Promise<Dispatcher.ResponseData> {
    const headers: Record<string, string> = { accept: "application/json", ...options.headers };
    if (this.#token !== undefined) headers.authorization = `Bearer ${await this.#token()}`;
    const response = await this.#http.request(`${this.#server}${path}`, { ...options, headers });
    if (response.statusCode >= 200 && response.statusCode < 300) return response;
    throw refusal(response.statusCode, await this.#text(response), this.#server);
  }

  async #document<T>(response: Dispatcher.ResponseData, schema: ZodType<T>): Promise<T> {
    const text = await this.#text(response);
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    throw new HoopishError("internal", `${this.#server} answered with something that this hoopish cannot read`, {
      hint: "check that the address is a hoopish server's, and that this hoopish is not older than it",
      cause: parsed.error,
    });
  }

  async #text(response: Dispatcher.ResponseData): Promise<string> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > MAX_DOCUMENT_BYTES) throw new HoopishError("internal", "the server's answer is too large");
        chunks.push(chunk);
      }
    } catch (error) {
      if (error instanceof HoopishError || (error as Error).name === "AbortError") throw error;
      throw networkError(error, this.#server);
    }
    return Buffer.concat(chunks).toString("utf8");
  }
}

const brokenOff = (cause: unknown): HoopishError =>
  new HoopishError("unreachable", "the server broke off before it had said how it ended", {
    hint: "it may go on without a witness; look again later",
    cause,
  });

function withQuery(path: string, query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value));
  return parameters.size === 0 ? path : `${path}?${parameters}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The server's error as ours; an answer that is not hoopish's (a proxy's page) is told by its status. */
function refusal(status: number, text: string, server: string): HoopishError {
  const parsed = errorBodySchema.safeParse(parseJson(text));
  if (!parsed.success) {
    if (status === 407) return networkError(new Error("proxy 407"), server);
    return new HoopishError("unreachable", `${server} answered with status ${status} and not as a hoopish server`, {
      hint: "check the address; a proxy or portal may be in between (hoopish doctor)",
    });
  }
  const { code, message, hint } = parsed.data.error;
  const known = isErrorCode(code) ? code : codeOfStatus(status);
  const remedy = hint ?? (known === "unauthenticated" ? "hoopish login" : undefined);
  return new HoopishError(known, message, remedy === undefined ? {} : { hint: remedy });
}

/** For a code that a newer server may have: the first of ours with that status, so that the exit code is close. */
function codeOfStatus(status: number): ErrorCode {
  const found = Object.entries(ERROR_SHAPES).find(([, shape]) => shape.http === status);
  return (found?.[0] as ErrorCode | undefined) ?? "internal";
}
