import type { ClientHttp2Session } from "node:http2";
import { HoopishError } from "@hoopish/protocol";
import type { ConnectionConfig } from "../config/config.ts";
import type { AppliedCredential } from "../credential/credential.ts";
import { createGrpcTarget } from "../serve/grpc/grpc-target.ts";
import { requestHeaders } from "../serve/headers.ts";
import { VERSION } from "../version.ts";
import { Conversation, StatusError, UNIMPLEMENTED } from "./conversation.ts";
import { type Description, gather } from "./gather.ts";
import { inWords } from "./in-words.ts";
import { decodeAnswer, encodeQuestion } from "./reflection-messages.ts";

export interface DescribeConnectionOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Gives up early. */
  readonly signal: AbortSignal;
  /** For everything, from the credential and the connection to the last file. */
  readonly deadlineMs: number;
}

/** Newest first; the messages are the same. */
const VERSIONS = ["v1", "v1alpha"] as const;

/**
 * Asks a connection's target what its services are, by server reflection, with the TLS and the credential that calls get.
 * @throws HoopishError configuration (no credential), upstream_failed, upstream_timeout, response_too_large: the reason in words
 */
export async function describeConnection(
  config: ConnectionConfig,
  { env, signal, deadlineMs }: DescribeConnectionOptions,
): Promise<Description> {
  const givenUp = Promise.withResolvers<never>();
  const timer = setTimeout(() => givenUp.reject(tooLate(config, deadlineMs)), deadlineMs);
  const onAbort = (): void => givenUp.reject(new HoopishError("upstream_failed", "interrupted"));
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  const target = createGrpcTarget(config, env);
  let credential: AppliedCredential | undefined;
  let over = false;
  const session = (): ClientHttp2Session => {
    // The credential may come after the deadline: nothing is opened then that nobody closes.
    if (over) throw new HoopishError("upstream_failed", "interrupted");
    return target.session().session;
  };
  const work = async (): Promise<Description> => {
    credential = await target.credential?.current();
    return askVersions(session, credential, deadlineMs);
  };
  try {
    return await Promise.race([givenUp.promise, work()]);
  } catch (error) {
    throw inWords(error, config, credential);
  } finally {
    over = true;
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    await target.close();
  }
}

async function askVersions(
  session: () => ClientHttp2Session,
  credential: AppliedCredential | undefined,
  deadlineMs: number,
): Promise<Description> {
  const own = ["content-type", "application/grpc", "user-agent", `hoopish-agent/${VERSION}`];
  const { list } = requestHeaders([...own, "grpc-timeout", `${deadlineMs}m`], credential);
  let missing: unknown;
  for (const version of VERSIONS) {
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    const conversation = new Conversation(session(), path, list);
    try {
      return await gather(async (question, value) =>
        decodeAnswer(await conversation.ask(encodeQuestion(question, value))),
      );
    } catch (error) {
      if (!(error instanceof StatusError) || error.status !== UNIMPLEMENTED) throw error;
      missing = error;
    } finally {
      conversation.close();
    }
  }
  throw missing;
}

const tooLate = ({ name, target }: ConnectionConfig, deadlineMs: number): HoopishError =>
  new HoopishError(
    "upstream_timeout",
    `connection ${name} (${target.host}:${target.port}): the model server did not finish within ${deadlineMs / 1000} s`,
  );
