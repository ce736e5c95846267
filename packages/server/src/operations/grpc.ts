import { fits, type MessageType } from "../protobuf/message-type.ts";
import { checkScalars } from "../protobuf/scalars.ts";
import type { GrpcMethod, GrpcSchema } from "../protobuf/schema.ts";
import { MAX_DEPTH, ProtobufError, WireReader } from "../protobuf/wire.ts";
import { largest, Texts, text } from "./json-members.ts";
import { readInferRequest, textAt } from "./oip-grpc.ts";
import type { Operation, OperationKind } from "./operation.ts";

export interface GrpcRequest {
  /** "/package.Service/Method" as received. */
  readonly path: string;
  /** Uncompressed, without their prefix. Of a client's stream those that are judged now. */
  readonly messages: readonly Buffer[];
  /** What is wrong with how they came. */
  readonly problem?: string;
}

const OIP = "inference.GRPCInferenceService";
const BUILTIN: ReadonlyMap<string, OperationKind> = new Map([
  ...kinds(OIP, "infer", "ModelInfer ModelStreamInfer"),
  ...kinds(OIP, "health", "ServerLive ServerReady ModelReady"),
  ...kinds(OIP, "metadata", "ServerMetadata ModelMetadata ModelConfig ModelStatistics RepositoryIndex"),
  ...kinds(OIP, "metadata", "SystemSharedMemoryStatus CudaSharedMemoryStatus"),
  ...kinds(OIP, "admin", "RepositoryModelLoad RepositoryModelUnload TraceSetting LogSettings"),
  ...kinds(OIP, "admin", "SystemSharedMemoryRegister SystemSharedMemoryUnregister"),
  ...kinds(OIP, "admin", "CudaSharedMemoryRegister CudaSharedMemoryUnregister"),
  ...kinds("grpc.health.v1.Health", "health", "Check List Watch"),
  ...kinds("grpc.reflection.v1.ServerReflection", "metadata", "ServerReflectionInfo"),
  ...kinds("grpc.reflection.v1alpha.ServerReflection", "metadata", "ServerReflectionInfo"),
]);

function kinds(service: string, kind: OperationKind, methods: string): [string, OperationKind][] {
  return methods.split(" ").map((method) => [`/${service}/${method}`, kind]);
}

/**
 * What a gRPC call asks for. Total: bytes that are no such message make it unclear, never an error. A method that a path does
 * not name in its one form ("/package.Service/Method", letter by letter) is not known.
 */
export function describeGrpc(schema: GrpcSchema, { path, messages, problem }: GrpcRequest): Operation {
  const method = schema.method(path);
  if (method === undefined) return { kind: "other", unclear: "nothing is known of its method" };
  const kind = BUILTIN.get(path) ?? "other";
  const streams = method.clientStreaming || method.serverStreaming ? { stream: true } : {};
  const told = { ...streams, ...(problem === undefined ? {} : { unclear: problem }) };
  if (messages.length === 0 && problem === undefined) return { kind, ...streams, unclear: "it has no message" };
  const read = kind === "infer" ? inferred(messages) : bySchema(method, kind, messages);
  return { kind, ...read, ...told };
}

type Told = Omit<Operation, "kind">;

function inferred(messages: readonly Buffer[]): Told {
  const texts = new Texts();
  let model: string | undefined;
  let rows: number | undefined;
  let unclear: string | undefined;
  for (const message of messages) {
    try {
      const read = readInferRequest(message, texts);
      if (model !== undefined && read.model !== model) unclear ??= "its messages name several models";
      model ??= read.model;
      rows = largest(rows, read.rows);
      unclear ??= read.unclear;
    } catch (error) {
      unclear ??= unreadable(error);
    }
  }
  return {
    ...(model === undefined ? {} : { model }),
    ...(rows === undefined ? {} : { rows }),
    ...texts.found,
    ...(unclear === undefined ? {} : { unclear }),
  };
}

/** Methods whose messages are read by their schema alone. */
function bySchema(method: GrpcMethod, kind: OperationKind, messages: readonly Buffer[]): Told {
  // Others of OIP's messages have a name that is not a model's.
  const walk = new Walk(method.method.startsWith("Model") ? "name" : "model_name");
  let unclear: string | undefined;
  for (const message of messages) {
    try {
      walk.message(method.request, message, 0, message.length, 0);
    } catch (error) {
      unclear ??= unreadable(error);
    }
  }
  unclear ??= walk.unclear;
  const model = method.service === OIP ? text(walk.named) : undefined;
  return {
    ...(model === undefined ? {} : { model }),
    ...(kind === "other" ? walk.texts.found : {}),
    ...(unclear === undefined ? {} : { unclear }),
  };
}

function unreadable(error: unknown): string {
  if (error instanceof ProtobufError) return `a message cannot be read: ${error.message}`;
  throw error;
}

/** Values of one message that are gone over; more are not looked at, and it is said. */
const MAX_FIELDS = 200_000;

/** Goes over a message by its type. */
class Walk {
  readonly texts: Texts = new Texts();
  unclear: string | undefined;
  /** What the field for a model's name holds. */
  named: string | undefined;
  readonly #nameField: string;
  #fields = 0;

  constructor(nameField: string) {
    this.#nameField = nameField;
  }

  /** @throws ProtobufError */
  message(type: MessageType, bytes: Buffer, from: number, to: number, depth: number): void {
    if (depth > MAX_DEPTH) throw new ProtobufError("it is nested too deeply");
    const reader = new WireReader(bytes, from, to);
    const seen = new Set<number>();
    while (reader.next()) {
      if (++this.#fields > MAX_FIELDS) throw new ProtobufError("it has too many values");
      const field = type.fields.get(reader.number);
      if (field === undefined || !fits(field, reader.wire)) {
        this.unclear ??= "it has fields that its type does not have";
        continue;
      }
      if (!field.repeated && seen.has(field.number)) this.unclear ??= "it says one thing twice";
      seen.add(field.number);
      if (field.message !== undefined) this.message(field.message, bytes, reader.from, reader.to, depth + 1);
      else if (field.kind === "string") {
        const value = textAt(bytes, reader.from, reader.to);
        if (depth === 0 && field.name === this.#nameField) this.named = value;
        this.texts.add(value);
      } else if (field.kind !== "bytes") checkScalars(field.kind, reader);
    }
  }
}
