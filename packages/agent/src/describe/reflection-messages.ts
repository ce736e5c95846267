import { MAX_SERVICES, tooManyServices } from "./limits.ts";
import { delimited, fieldsOf, GarbledError } from "./wire.ts";

/**
 * ServerReflectionRequest and ServerReflectionResponse: the same in v1 and v1alpha
 * (https://github.com/grpc/grpc-proto/blob/master/grpc/reflection/v1/reflection.proto).
 */

/** Of ServerReflectionRequest's message_request, by their numbers. */
const REQUESTS = { file_by_filename: 3, file_containing_symbol: 4, list_services: 7 } as const;
export type ReflectionQuestion = keyof typeof REQUESTS;

export function encodeQuestion(question: ReflectionQuestion, value: string): Buffer {
  return delimited(REQUESTS[question], Buffer.from(value));
}

export type ReflectionAnswer =
  /** Serialized google.protobuf.FileDescriptorProtos; they share memory with the message. */
  | { readonly kind: "files"; readonly files: Iterable<Buffer> }
  | { readonly kind: "services"; readonly names: readonly string[] }
  /** `code`: google.rpc.Code; `message`: the model server's own words. */
  | { readonly kind: "error"; readonly code: number; readonly message: string };

/** @throws GarbledError, TooMuchError */
export function decodeAnswer(message: Buffer): ReflectionAnswer {
  let answer: ReflectionAnswer | undefined;
  for (const { number, bytes } of fieldsOf(message)) {
    if (number === 4) answer = { kind: "files", files: filesIn(bytes) };
    else if (number === 6) answer = { kind: "services", names: servicesIn(bytes) };
    else if (number === 7) answer = errorIn(bytes);
  }
  if (answer === undefined) throw new GarbledError("it answers something else than was asked");
  return answer;
}

/** One after the other: whoever takes them stops at the first that is too much. */
function* filesIn(response: Buffer): Generator<Buffer> {
  for (const { number, bytes } of fieldsOf(response)) if (number === 1) yield bytes;
}

/** A name in protobuf: it becomes a question, and is shown to people. */
const FULL_NAME = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/;
const MAX_NAME = 512;

function servicesIn(response: Buffer): string[] {
  const names = new Set<string>();
  for (const { number, bytes } of fieldsOf(response)) {
    if (number !== 1) continue;
    let name = "";
    for (const field of fieldsOf(bytes)) if (field.number === 1) name = field.bytes.toString();
    if (name.length > MAX_NAME || !FULL_NAME.test(name)) throw new GarbledError("a service has no good name");
    names.add(name);
    if (names.size > MAX_SERVICES) throw tooManyServices();
  }
  return [...names];
}

function errorIn(response: Buffer): ReflectionAnswer {
  let code = 0;
  let message = "";
  for (const { number, bytes, value } of fieldsOf(response)) {
    if (number === 1) code = value;
    else if (number === 2) message = bytes.toString();
  }
  return { kind: "error", code, message };
}
