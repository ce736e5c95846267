import { randomBytes } from "node:crypto";
import { createConnection, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { PostgresOpen, StreamError } from "@hoopish/protocol";
import {
  errorFields,
  type Message,
  MessageReader,
  md5Answer,
  parseAuthentication,
  parseBackendKeyData,
  parseParameterStatus,
  passwordMessage,
  SCRAM_SHA_256,
  ScramClient,
  saslInitialResponse,
  saslResponse,
  sslRequest,
  startup,
} from "@hoopish/protocol/postgres";
import type { ConnectionConfig } from "../../config/config.ts";
import { codeOf } from "../../error-code.ts";
import { readTls } from "../connector.ts";
import { upstreamError } from "../upstream-error.ts";

/** A database that has let the agent in, and waits for the first query. */
export interface Database {
  readonly socket: Socket;
  /** Run-time parameters that it told: name, value, name, value … */
  readonly parameters: readonly string[];
  readonly database: string;
  readonly pid: number;
  readonly key: Buffer;
  /** What it said after that. */
  readonly rest: Buffer;
}

/** Why there is no connection, in words that may be told. */
export class DatabaseError extends Error {
  override readonly name = "DatabaseError";
  readonly error: StreamError;
  readonly sqlstate: string | undefined;
  /** The credential was not accepted. */
  readonly refused: boolean;

  constructor(error: StreamError, options: { sqlstate?: string; refused?: boolean; cause?: unknown } = {}) {
    super(error.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.error = error;
    this.sqlstate = options.sqlstate;
    this.refused = options.refused === true;
  }
}

/** A message before the first ReadyForQuery, at most: names and errors. */
const MAX_MESSAGE = 65_536;

/**
 * Connects, signs in, and waits until the database is ready. What it says is never passed on unread.
 * @throws DatabaseError
 */
export async function openDatabase(
  config: ConnectionConfig,
  signIn: { readonly user: string; readonly password: string },
  open: Pick<PostgresOpen, "database" | "parameters">,
  signal: AbortSignal,
): Promise<Database> {
  const socket = await connectSocket(config, signal);
  const stop = (): void => void socket.destroy(signal.reason as Error);
  signal.addEventListener("abort", stop);
  try {
    const database = config.target.database === "" ? (open.database ?? signIn.user) : config.target.database;
    socket.write(startup(["user", signIn.user, "database", database, ...open.parameters]));
    return { socket, database, ...(await new SignIn(socket, config, signIn).run()) };
  } catch (error) {
    socket.destroy();
    throw asDatabaseError(error);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** A socket to the target, with TLS where that is configured. @throws DatabaseError */
export async function connectSocket(
  { target, tls, connectTimeoutMs }: ConnectionConfig,
  signal: AbortSignal,
): Promise<Socket> {
  const { host, port } = target;
  const socket = createConnection({ host, port, noDelay: true });
  const late = setTimeout(() => socket.destroy(coded("ETIMEDOUT")), connectTimeoutMs);
  const stop = (): void => void socket.destroy(coded("ETIMEDOUT"));
  signal.addEventListener("abort", stop);
  try {
    await event(socket, "connect");
    if (tls === undefined) return socket;
    socket.write(sslRequest());
    const answer = await firstBytes(socket);
    if (answer.length !== 1) {
      // What came in the clear before the handshake would be taken for the server's (CVE-2021-23222).
      throw new DatabaseError({ code: "upstream_failed", message: "the database said more than was asked before TLS" });
    }
    if (answer[0] !== 0x53) {
      throw new DatabaseError({ code: "upstream_failed", message: "the database does not offer TLS" });
    }
    const secure = connectTls({ socket, ...readTls(tls), ...(isIP(host) === 0 ? { servername: host } : { host }) });
    await event(secure, "secureConnect");
    return secure;
  } catch (error) {
    socket.destroy();
    throw asDatabaseError(error);
  } finally {
    clearTimeout(late);
    signal.removeEventListener("abort", stop);
  }
}

/** From the start-up to ReadyForQuery. */
class SignIn {
  readonly #socket: Socket;
  readonly #config: ConnectionConfig;
  readonly #user: string;
  readonly #password: string;
  readonly #reader = new MessageReader({ side: "backend", maxMessageBytes: MAX_MESSAGE });
  readonly #parameters: string[] = [];
  #scram: ScramClient | undefined;
  /** The server has proved that it knows the password, or that it wants none. */
  #proved = false;
  #pid = 0;
  #key: Buffer = Buffer.alloc(4);

  constructor(socket: Socket, config: ConnectionConfig, { user, password }: { user: string; password: string }) {
    this.#socket = socket;
    this.#config = config;
    this.#user = user;
    this.#password = password;
  }

  run(): Promise<Omit<Database, "socket" | "database">> {
    const socket = this.#socket;
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        socket.pause();
        socket.off("data", onData).off("error", onError).off("close", onClose);
      };
      const onData = (chunk: Buffer): void => {
        try {
          const messages = this.#reader.push(chunk);
          const ready = messages.findIndex((message) => this.#take(message));
          if (ready === -1) return;
          if (this.#reader.held > 0) throw coded("EPROTO");
          stop();
          const rest = Buffer.concat(messages.slice(ready + 1).map(({ bytes }) => bytes));
          resolve({ parameters: this.#parameters, pid: this.#pid, key: this.#key, rest });
        } catch (error) {
          stop();
          reject(error);
        }
      };
      const onError = (error: Error): void => {
        stop();
        reject(error);
      };
      const onClose = (): void => onError(coded("ECONNRESET"));
      socket.on("data", onData).on("error", onError).on("close", onClose);
      socket.resume();
    });
  }

  /** @returns true: it is ready */
  #take({ type, body }: Message): boolean {
    switch (type) {
      case "R":
        this.#authenticate(body);
        return false;
      case "S": {
        const { name, value } = parseParameterStatus(body);
        this.#parameters.push(name, value);
        return false;
      }
      case "K":
        ({ pid: this.#pid, key: this.#key } = parseBackendKeyData(body));
        return false;
      case "E":
        throw refusal(errorFields(body));
      case "Z":
        if (!this.#proved) throw coded("EPROTO");
        return true;
      case "N":
      case "v":
        return false;
      default:
        throw coded("EPROTO");
    }
  }

  #authenticate(body: Buffer): void {
    const ask = parseAuthentication(body);
    switch (ask.kind) {
      case "ok":
        // One that has begun to prove itself must have come to the end.
        if (this.#scram !== undefined && !this.#proved) throw coded("EPROTO");
        this.#proved = true;
        return;
      case "cleartext": {
        const { host } = this.#config.target;
        if (this.#config.tls === undefined && !/^(localhost|127(\.\d+){3}|::1)$/.test(host)) {
          const message = "the database asks for the password in the clear: configure tls, or SCRAM at the database";
          throw new DatabaseError({ code: "upstream_failed", message });
        }
        this.#socket.write(passwordMessage(this.#password));
        return;
      }
      case "md5":
        this.#socket.write(passwordMessage(md5Answer(this.#user, this.#password, ask.salt)));
        return;
      case "sasl":
        if (!ask.mechanisms.includes(SCRAM_SHA_256)) break;
        this.#scram = new ScramClient(this.#password, randomBytes(18).toString("base64"));
        this.#socket.write(saslInitialResponse(SCRAM_SHA_256, this.#scram.first()));
        return;
      case "sasl-continue":
        if (this.#scram === undefined) throw coded("EPROTO");
        this.#socket.write(saslResponse(this.#scram.final(ask.data)));
        return;
      case "sasl-final":
        if (this.#scram === undefined) throw coded("EPROTO");
        this.#scram.verify(ask.data);
        this.#proved = true;
        return;
      case "other":
    }
    const message = "the database asks for a way to sign in that the agent does not know";
    throw new DatabaseError({ code: "upstream_failed", message });
  }
}

function refusal(fields: ReadonlyMap<string, string>): DatabaseError {
  const sqlstate = fields.get("C") ?? "XX000";
  if (sqlstate.startsWith("28")) {
    const message = "the database does not accept the agent's credential";
    return new DatabaseError({ code: "upstream_failed", message }, { sqlstate, refused: true });
  }
  const message = `the database refuses the connection: ${(fields.get("M") ?? "").slice(0, 200)}`;
  return new DatabaseError({ code: "upstream_failed", message }, { sqlstate });
}

function asDatabaseError(thrown: unknown): DatabaseError {
  if (thrown instanceof DatabaseError) return thrown;
  if ((thrown as Error)?.name === "PostgresProtocolError") {
    const message = `the database broke the protocol: ${(thrown as Error).message}`;
    return new DatabaseError({ code: "upstream_failed", message }, { cause: thrown });
  }
  const { code, message } = upstreamError(thrown);
  return new DatabaseError(
    { code, message: message.replace("the model server", "the database") },
    { cause: codeOf(thrown) },
  );
}

const coded = (code: string): Error => Object.assign(new Error(code), { code });

function event(socket: Socket, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(name, () => {
      socket.off("error", reject);
      resolve();
    });
    socket.once("error", reject);
    socket.once("close", () => reject(coded("ECONNRESET")));
  });
}

function firstBytes(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    socket.once("data", (chunk: Buffer) => {
      socket.pause();
      socket.off("error", reject);
      resolve(chunk);
    });
    socket.once("error", reject);
    socket.once("close", () => reject(coded("ECONNRESET")));
  });
}
