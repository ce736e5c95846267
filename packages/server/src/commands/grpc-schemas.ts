import { readFileSync } from "node:fs";
import { HoopishError } from "@hoopish/protocol";
import { GrpcSchema } from "../protobuf/schema.ts";

/**
 * What is known of each connection's services: those that are built in, and those of its descriptor files.
 * @throws HoopishError configuration, naming the file
 */
export function grpcSchemas(
  connections: readonly { readonly name: string; readonly descriptorFiles: readonly string[] }[],
): (connection: string) => GrpcSchema {
  const builtin = GrpcSchema.builtin();
  const schemas = new Map<string, GrpcSchema>();
  for (const { name, descriptorFiles } of connections) {
    let schema = builtin;
    for (const file of descriptorFiles) {
      try {
        schema = schema.with([readFileSync(file)]);
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new HoopishError(
          "configuration",
          `connection ${name}: the descriptors in ${file} cannot be used: ${why}`,
          { cause },
        );
      }
    }
    if (schema !== builtin) schemas.set(name, schema);
  }
  return (connection) => schemas.get(connection) ?? builtin;
}
