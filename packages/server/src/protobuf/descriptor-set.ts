import type { Declarations, FieldDeclaration, FieldKind, MethodDeclaration } from "./message-type.ts";
import { DELIMITED, MAX_DEPTH, ProtobufError, VARINT, WireReader } from "./wire.ts";

/**
 * A google.protobuf.FileDescriptorSet, as `protoc --include_imports --descriptor_set_out` writes it, read for what the wire needs
 * (numbers of fields: https://github.com/protocolbuffers/protobuf/blob/main/src/google/protobuf/descriptor.proto).
 */

/** By FieldDescriptorProto.Type. 10 is a group: its field is left out, and so is refused as unknown. */
const KINDS: readonly (FieldKind | undefined)[] = [
  ...([undefined, "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string"] as const),
  ...([undefined, "message", "bytes", "uint32", "enum", "sfixed32", "sfixed64", "sint32", "sint64"] as const),
];
const REPEATED = 3;

interface Found {
  readonly messages: Map<string, FieldDeclaration[]>;
  readonly enums: Map<string, Map<number, string>>;
  readonly services: Map<string, Map<string, MethodDeclaration>>;
  readonly entries: Set<string>;
}

/** @throws ProtobufError what is wrong with it */
export function readDescriptorSet(bytes: Buffer): Declarations {
  const found: Found = { messages: new Map(), enums: new Map(), services: new Map(), entries: new Set() };
  each(bytes, (number, file) => {
    if (number === 1) readFile(file, found);
  });
  if (found.messages.size === 0 && found.services.size === 0) {
    throw new ProtobufError("it describes no message and no service: is it a FileDescriptorSet?");
  }
  resolveNames(found);
  return found;
}

/** A name of a type begins with a dot, or is looked for from where it is used outward. */
function resolveNames(found: Found): void {
  const resolved = (name: string, scope: string): string => {
    if (name.startsWith(".")) return name.slice(1);
    for (let at = scope; at !== ""; at = at.slice(0, Math.max(0, at.lastIndexOf(".")))) {
      if (found.messages.has(`${at}.${name}`) || found.enums.has(`${at}.${name}`)) return `${at}.${name}`;
    }
    return name;
  };
  for (const [type, fields] of found.messages) {
    fields.forEach((field, i) => {
      if (field.typeName === undefined) return;
      const typeName = resolved(field.typeName, type);
      fields[i] = { ...field, typeName, kind: found.entries.has(typeName) ? "map" : field.kind };
    });
  }
  for (const [service, methods] of found.services) {
    for (const [name, method] of methods) {
      const request = resolved(method.request, service);
      methods.set(name, { ...method, request, response: resolved(method.response, service) });
    }
  }
}

function readFile(file: Buffer, found: Found): void {
  let packageName = "";
  each(file, (number, value) => {
    if (number === 2) packageName = value.toString();
  });
  const prefix = packageName === "" ? "" : `${packageName}.`;
  each(file, (number, value) => {
    if (number === 4) readMessage(value, prefix, found, 0);
    else if (number === 5) readEnum(value, prefix, found);
    else if (number === 6) readService(value, prefix, found);
  });
}

function readMessage(bytes: Buffer, prefix: string, found: Found, depth: number): void {
  if (depth > MAX_DEPTH) throw new ProtobufError("its types are nested too deeply");
  const name = prefix + nameOf(bytes);
  const fields: FieldDeclaration[] = [];
  if (found.messages.has(name)) throw new ProtobufError(`it describes ${name} twice`);
  found.messages.set(name, fields);
  each(bytes, (number, value) => {
    if (number === 2) {
      const field = readField(value, name);
      if (field !== undefined) fields.push(field);
    } else if (number === 3) readMessage(value, `${name}.`, found, depth + 1);
    else if (number === 4) readEnum(value, `${name}.`, found);
    else if (number === 7) {
      // MessageOptions.map_entry
      each(value, (option, _, flag) => {
        if (option === 7 && flag === 1) found.entries.add(name);
      });
    }
  });
}

function readField(bytes: Buffer, owner: string): FieldDeclaration | undefined {
  let name = "";
  let number = 0;
  let label = 0;
  let type = 0;
  let typeName = "";
  each(bytes, (of, value, plain) => {
    if (of === 1) name = value.toString();
    else if (of === 3) number = plain;
    else if (of === 4) label = plain;
    else if (of === 5) type = plain;
    else if (of === 6) typeName = value.toString();
  });
  if (name === "" || number < 1 || number > 0x1fffffff) throw new ProtobufError(`${owner} has a field with no number`);
  const kind = KINDS[type];
  if (kind === undefined) {
    if (type === 10) return undefined;
    throw new ProtobufError(`${owner}.${name} has no type that is known`);
  }
  return {
    name,
    number,
    kind,
    repeated: label === REPEATED,
    ...(typeName === "" ? {} : { typeName }),
  };
}

function readEnum(bytes: Buffer, prefix: string, found: Found): void {
  const values = new Map<number, string>();
  each(bytes, (number, value) => {
    if (number !== 2) return;
    let of = 0;
    each(value, (part, _, plain) => {
      if (part === 2) of = plain;
    });
    // With an alias the first name counts, as in protobuf.
    if (!values.has(of)) values.set(of, nameOf(value));
  });
  found.enums.set(prefix + nameOf(bytes), values);
}

function readService(bytes: Buffer, prefix: string, found: Found): void {
  const service = prefix + nameOf(bytes);
  const methods = new Map<string, MethodDeclaration>();
  if (found.services.has(service)) throw new ProtobufError(`it describes ${service} twice`);
  found.services.set(service, methods);
  each(bytes, (number, value) => {
    if (number !== 2) return;
    let request = "";
    let response = "";
    let clientStreaming = false;
    let serverStreaming = false;
    each(value, (of, text, plain) => {
      if (of === 2) request = text.toString();
      else if (of === 3) response = text.toString();
      else if (of === 5) clientStreaming = plain === 1;
      else if (of === 6) serverStreaming = plain === 1;
    });
    methods.set(nameOf(value), { request, response, clientStreaming, serverStreaming });
  });
}

/** Field 1 of every descriptor. */
function nameOf(bytes: Buffer): string {
  let name = "";
  each(bytes, (number, value) => {
    if (number === 1) name = value.toString();
  });
  if (name === "") throw new ProtobufError("something in it has no name");
  return name;
}

const NONE = Buffer.alloc(0);

/** Each field: its bytes when it has a length, its number when it is a varint. */
function each(bytes: Buffer, visit: (number: number, value: Buffer, plain: number) => void): void {
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.wire === DELIMITED) visit(reader.number, bytes.subarray(reader.from, reader.to), 0);
    else if (reader.wire === VARINT) visit(reader.number, NONE, Number(BigInt.asIntN(64, BigInt(reader.varint()))));
  }
}
