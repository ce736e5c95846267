/** What is known of messages, their fields and the methods that carry them. */

export type ScalarKind =
  | "double"
  | "float"
  | "int32"
  | "int64"
  | "uint32"
  | "uint64"
  | "sint32"
  | "sint64"
  | "fixed32"
  | "fixed64"
  | "sfixed32"
  | "sfixed64"
  | "bool"
  | "enum"
  | "string"
  | "bytes";

/** `map`: repeated messages with a key (1) and a value (2). */
export type FieldKind = ScalarKind | "message" | "map";

export interface Field {
  readonly number: number;
  /** As the proto file has it. */
  readonly name: string;
  readonly kind: FieldKind;
  readonly repeated: boolean;
  /** Of kinds message and map; of a map its entries. */
  readonly message?: MessageType;
  /** Of an enum, where they are known. */
  readonly names?: ReadonlyMap<number, string>;
}

export interface MessageType {
  /** With its package, without a dot before it. */
  readonly name: string;
  readonly fields: ReadonlyMap<number, Field>;
}

export interface GrpcMethod {
  /** With its package. */
  readonly service: string;
  readonly method: string;
  readonly request: MessageType;
  readonly response: MessageType;
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
}

/** As a file declares them: types by name. */
export interface Declarations {
  readonly messages: ReadonlyMap<string, readonly FieldDeclaration[]>;
  readonly enums: ReadonlyMap<string, ReadonlyMap<number, string>>;
  /** By service, then by method. */
  readonly services: ReadonlyMap<string, ReadonlyMap<string, MethodDeclaration>>;
}

export interface FieldDeclaration {
  readonly number: number;
  readonly name: string;
  readonly kind: FieldKind;
  readonly repeated: boolean;
  readonly typeName?: string;
}

export interface MethodDeclaration {
  readonly request: string;
  readonly response: string;
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
}

/** How a value of each kind stands on the wire. */
const WIRES: Readonly<Record<FieldKind, number>> = {
  double: 1,
  float: 5,
  int32: 0,
  int64: 0,
  uint32: 0,
  uint64: 0,
  sint32: 0,
  sint64: 0,
  fixed32: 5,
  fixed64: 1,
  sfixed32: 5,
  sfixed64: 1,
  bool: 0,
  enum: 0,
  string: 2,
  bytes: 2,
  message: 2,
  map: 2,
};

/** Whether a value came as its field's kind has it; what did not is a field that nobody knows. */
export function fits({ kind, repeated }: Field, wire: number): boolean {
  return WIRES[kind] === wire || (repeated && wire === 2);
}
