import type { Declarations, FieldDeclaration, FieldKind, MethodDeclaration } from "./message-type.ts";

const SCALARS: ReadonlySet<string> = new Set(
  "double float int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64 bool enum string bytes".split(
    " ",
  ),
);
const METHOD = /^(\w+)\/(\w+): (stream )?(\S+) > (stream )?(\S+)$/;
const FIELD = /^(\w+) (\d+) (?:map<(\w+),([\w.]+)>|([\w.]+))(\*)?$/;

/** Our own short form of a proto file: see builtin-inference.ts. Names of types are of the same package. */
export function readTable(table: string, packageName: string): Declarations {
  const messages = new Map<string, FieldDeclaration[]>();
  const services = new Map<string, Map<string, MethodDeclaration>>();
  const full = (name: string): string => `${packageName}.${name}`;
  let type = "";
  for (const line of table.split("\n")) {
    const method = METHOD.exec(line);
    if (method !== null) {
      const [, service, name, fromClient, request, fromServer, response] = method as unknown as [string, ...string[]];
      const methods = services.get(full(service as string)) ?? new Map<string, MethodDeclaration>();
      services.set(full(service as string), methods);
      methods.set(name as string, {
        request: full(request as string),
        response: full(response as string),
        clientStreaming: fromClient !== undefined,
        serverStreaming: fromServer !== undefined,
      });
    } else if (line.startsWith(" ")) {
      for (const field of line.trim().split(", ")) messages.get(type)?.push(fieldOf(field, type, full, messages));
    } else if (line !== "") {
      type = full(line);
      messages.set(type, []);
    }
  }
  return { messages, enums: new Map(), services };
}

function fieldOf(
  text: string,
  type: string,
  full: (name: string) => string,
  messages: Map<string, FieldDeclaration[]>,
): FieldDeclaration {
  const [, name, number, key, value, plain, many] = FIELD.exec(text) as unknown as [string, string, ...string[]];
  const base = { name, number: Number(number) };
  if (key !== undefined) {
    const entry = `${type}.${name}Entry`;
    messages.set(entry, [
      { name: "key", number: 1, repeated: false, ...kindOf(key, full) },
      { name: "value", number: 2, repeated: false, ...kindOf(value as string, full) },
    ]);
    return { ...base, kind: "map", repeated: true, typeName: entry };
  }
  return { ...base, repeated: many !== undefined, ...kindOf(plain as string, full) };
}

const kindOf = (text: string, full: (name: string) => string): { kind: FieldKind; typeName?: string } =>
  SCALARS.has(text) ? { kind: text as FieldKind } : { kind: "message", typeName: full(text) };
