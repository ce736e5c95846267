import type { Protocol } from "@hoopish/protocol";
import type { GrpcSchema } from "../protobuf/schema.ts";
import type { RelayPorts } from "../relay/ports.ts";
import { createGrpcEntry } from "./grpc/grpc-entry.ts";
import { createHttpEntry } from "./http/http-entry.ts";
import type { StreamEntry } from "./line.ts";
import { createPostgresEntry } from "./postgres/postgres-entry.ts";

/** What speaks with clients, by a connection's protocol. */
export function createEntries(
  ports: RelayPorts,
  schemaOf: (connection: string) => GrpcSchema,
  report: (error: unknown) => void,
): Readonly<Record<Protocol, StreamEntry>> {
  return {
    http: createHttpEntry(ports, report),
    grpc: createGrpcEntry(ports, schemaOf, report),
    postgres: createPostgresEntry(ports, report),
  };
}
