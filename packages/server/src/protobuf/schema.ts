import { HEALTH_TABLE, REFLECTION_TABLE } from "./builtin-grpc.ts";
import { INFERENCE_TABLE } from "./builtin-inference.ts";
import { MODEL_CONFIG_TABLE } from "./builtin-model-config.ts";
import { readDescriptorSet } from "./descriptor-set.ts";
import type {
  Declarations,
  Field,
  FieldDeclaration,
  GrpcMethod,
  MessageType,
  MethodDeclaration,
} from "./message-type.ts";
import { readTable } from "./tables.ts";
import { ProtobufError } from "./wire.ts";

export type { GrpcMethod, MessageType } from "./message-type.ts";

/** What is known of services, their methods and messages. Made once, asked for every call. */
export class GrpcSchema {
  readonly #declarations: Declarations;
  readonly #types = new Map<string, MessageType>();
  /** By path. */
  readonly #methods = new Map<string, GrpcMethod>();

  private constructor(declarations: Declarations) {
    this.#declarations = declarations;
    for (const [service, methods] of declarations.services) {
      for (const [method, declared] of methods) {
        this.#methods.set(`/${service}/${method}`, {
          service,
          method,
          request: this.#linked(declared.request),
          response: this.#linked(declared.response),
          clientStreaming: declared.clientStreaming,
          serverStreaming: declared.serverStreaming,
        });
      }
    }
  }

  /** The Open Inference Protocol with Triton's extensions, and gRPC's health and reflection services. */
  static builtin(): GrpcSchema {
    builtin ??= new GrpcSchema(
      joined([
        readTable(INFERENCE_TABLE + MODEL_CONFIG_TABLE, "inference"),
        readTable(HEALTH_TABLE, "grpc.health.v1"),
        readTable(REFLECTION_TABLE, "grpc.reflection.v1"),
        readTable(REFLECTION_TABLE, "grpc.reflection.v1alpha"),
      ]),
    );
    return builtin;
  }

  /**
   * This and what these sets describe (serialized google.protobuf.FileDescriptorSet, with their imports). What two of them
   * describe has to agree; where one knows more fields of a type, they are known.
   * @throws ProtobufError a set that cannot be read, that refers to a type that is nowhere, or that contradicts another
   */
  with(descriptorSets: readonly Buffer[]): GrpcSchema {
    return descriptorSets.length === 0
      ? this
      : new GrpcSchema(joined([this.#declarations, ...descriptorSets.map(readDescriptorSet)]));
  }

  /** @param path "/package.Service/Method", in this one form */
  method(path: string): GrpcMethod | undefined {
    return this.#methods.get(path);
  }

  /** A type may hold itself: it is known before its fields are. */
  #linked(name: string): MessageType {
    const known = this.#types.get(name);
    if (known !== undefined) return known;
    const declared = this.#declarations.messages.get(name);
    if (declared === undefined) throw new ProtobufError(`${name} is described nowhere: a set has to have its imports`);
    const fields = new Map<number, Field>();
    const type: MessageType = { name, fields };
    this.#types.set(name, type);
    for (const { typeName, ...field } of declared) {
      const holds = field.kind === "message" || field.kind === "map";
      const names = field.kind === "enum" ? this.#declarations.enums.get(typeName ?? "") : undefined;
      fields.set(field.number, {
        ...field,
        ...(holds ? { message: this.#linked(typeName ?? "") } : {}),
        ...(names === undefined ? {} : { names }),
      });
    }
    return type;
  }
}

let builtin: GrpcSchema | undefined;

function joined(all: readonly Declarations[]): Declarations {
  const messages = new Map<string, readonly FieldDeclaration[]>();
  const enums = new Map<string, ReadonlyMap<number, string>>();
  const services = new Map<string, ReadonlyMap<string, MethodDeclaration>>();
  for (const declarations of all) {
    for (const [name, fields] of declarations.messages) {
      messages.set(name, joinFields(name, messages.get(name) ?? [], fields));
    }
    for (const [name, values] of declarations.enums) enums.set(name, new Map([...(enums.get(name) ?? []), ...values]));
    for (const [name, methods] of declarations.services) {
      services.set(name, joinMethods(name, services.get(name) ?? new Map(), methods));
    }
  }
  return { messages, enums, services };
}

function joinFields(
  type: string,
  known: readonly FieldDeclaration[],
  more: readonly FieldDeclaration[],
): readonly FieldDeclaration[] {
  const byNumber = new Map(known.map((field) => [field.number, field]));
  for (const field of more) {
    const other = byNumber.get(field.number);
    if (other === undefined) byNumber.set(field.number, field);
    else if (!agree(other, field)) {
      throw new ProtobufError(`${type} is described in two ways: they disagree on its field ${field.number}`);
    }
  }
  return [...byNumber.values()];
}

/** Entries of maps are types of their own with names that files do not choose. */
const agree = (one: FieldDeclaration, two: FieldDeclaration): boolean =>
  one.name === two.name &&
  one.kind === two.kind &&
  one.repeated === two.repeated &&
  (one.kind !== "message" || one.typeName === two.typeName);

function joinMethods(
  service: string,
  known: ReadonlyMap<string, MethodDeclaration>,
  more: ReadonlyMap<string, MethodDeclaration>,
): ReadonlyMap<string, MethodDeclaration> {
  const methods = new Map(known);
  for (const [name, method] of more) {
    const other = methods.get(name);
    if (
      other !== undefined &&
      JSON.stringify(Object.entries(other).sort()) !== JSON.stringify(Object.entries(method).sort())
    ) {
      throw new ProtobufError(`${service} is described in two ways: they disagree on its method ${name}`);
    }
    methods.set(name, method);
  }
  return methods;
}
