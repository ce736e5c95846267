import { type ErrorCode, HoopishError } from "@hoopish/protocol";
import type { ConnectionConfig } from "../config/config.ts";
import type { AppliedCredential } from "../credential/credential.ts";
import { CredentialError } from "../credential/secret-source.ts";
import { codeOf, reasonOf } from "../error-code.ts";
import { CREDENTIAL_MARK } from "../serve/headers.ts";
import { upstreamError } from "../serve/upstream-error.ts";
import { StatusError, UNAUTHENTICATED, UNIMPLEMENTED } from "./conversation.ts";
import { RefusedQuestion } from "./gather.ts";
import { TooMuchError } from "./limits.ts";
import { GarbledError } from "./wire.ts";

/** Where reflection does not help, the people who wrote the service have its proto files. */
const PROTOC =
  "protoc --include_imports --descriptor_set_out=FILE SERVICE.proto makes the same file from its proto files";

/** What kept a target from being described, as the operator reads it. */
export function inWords(
  error: unknown,
  config: ConnectionConfig,
  credential: AppliedCredential | undefined,
): HoopishError {
  if (error instanceof HoopishError) return error;
  const { name, target } = config;
  const say = (code: ErrorCode, what: string, hint?: string): HoopishError =>
    new HoopishError(code, `connection ${name} (${target.host}:${target.port}): ${what}`, {
      ...(hint === undefined ? {} : { hint }),
      cause: error,
    });
  const quoted = (text: string): string => quote(text, credential);
  if (error instanceof CredentialError) return say("configuration", error.message);
  if (error instanceof TooMuchError) return say("response_too_large", error.message, PROTOC);
  if (error instanceof GarbledError) return say("upstream_failed", `no good answer: ${error.message}`, PROTOC);
  if (error instanceof RefusedQuestion) {
    const what = error.about === "" ? "list its services" : `describe${quoted(error.about)}`;
    return say(
      "upstream_failed",
      `the model server does not ${what}: error ${error.code}${quoted(error.message)}`,
      PROTOC,
    );
  }
  if (error instanceof StatusError) {
    if (error.status === UNIMPLEMENTED) return say("upstream_failed", "the model server has no reflection", PROTOC);
    const said = `gRPC status ${error.status}${quoted(error.message)}`;
    if (error.status === UNAUTHENTICATED || error.status === PERMISSION_DENIED) {
      return say("upstream_failed", `the model server refuses the connection's credential: ${said}`);
    }
    return say("upstream_failed", `the model server ends the conversation: ${said}`);
  }
  const reason = reasonOf(error);
  const code = codeOf(reason);
  if (code.startsWith("ERR_HTTP2_"))
    return say("upstream_failed", `the model server broke HTTP/2 off (${code})`, NOT_GRPC);
  const { code: of, message } = upstreamError(reason);
  return say(of, `${message} (${code})`);
}

const PERMISSION_DENIED = 7;
const NOT_GRPC = "is it the port for gRPC, and grpc:// or grpcs:// as the server has it?";
const MOST = 200;

/** Words of a model server for a terminal: one line of plain characters, without the credential. */
function quote(text: string, credential: AppliedCredential | undefined): string {
  if (text === "") return "";
  if (credential?.isEchoedIn(text) === true) return ` ${CREDENTIAL_MARK}`;
  const plain = text.slice(0, MOST).replace(/[^\x20-\x7e]/g, "?");
  return ` "${plain}"`;
}
