import type { MaskingRule } from "./rule.ts";

/** A connection, as far as this needs it. */
export interface CoveredConnection {
  readonly name: string;
  readonly protocol: "http" | "grpc" | "postgres";
  readonly uninspectable: "block" | "allow";
  /** Of gRPC: files that describe services, and what becomes of those that none describes. */
  readonly descriptorFiles: readonly string[];
  readonly opaque: "block" | "allow";
}

/** What of one connection's traffic is looked into, by which rules, and what is not. */
export interface ConnectionCoverage {
  readonly connection: string;
  readonly protocol: "http" | "grpc" | "postgres";
  readonly request: DirectionCoverage;
  readonly response: DirectionCoverage;
  /** What no rule looks into. */
  readonly notInspected: readonly string[];
  /** What happens to a body that cannot be looked into. */
  readonly uninspectable: "block" | "allow";
}

export interface DirectionCoverage {
  readonly rules: readonly string[];
  readonly detect: readonly string[];
  readonly patterns: readonly string[];
  readonly analyzers: readonly string[];
  readonly fields: number;
}

/** Never, on any connection of the protocol: said so that nobody has to find out. docs/protocols.md says it in tables. */
const NEVER: Readonly<Record<CoveredConnection["protocol"], readonly string[]>> = {
  http: [
    "paths, queries and headers",
    "values that are split over two fields",
    "base64 and other encodings inside of texts",
    "images, audio and other binary bodies, and binary messages of WebSockets",
  ],
  grpc: [
    "metadata",
    "values that are split over two fields, or over two messages of a stream",
    "numbers of tensors that are not whole, and texts in tensors that say that they are numbers",
    "base64 and other encodings inside of texts",
  ],
  postgres: [
    "names of columns and tables",
    "values that are split over two cells",
    "binary columns (bytea), COPY and large objects",
    "base64 and other encodings inside of texts",
  ],
};

export function coverageOf({
  connections,
  masking,
}: {
  readonly connections: readonly CoveredConnection[];
  readonly masking: readonly MaskingRule[];
}): ConnectionCoverage[] {
  return connections.map((connection) => {
    const request = direction(connection, masking, "request");
    const response = direction(connection, masking, "response");
    const names = response.detect.includes("PERSON")
      ? ["names in running text, but for those after a title or a cue"]
      : [];
    return {
      connection: connection.name,
      protocol: connection.protocol,
      request,
      response,
      notInspected: [
        ...(request.rules.length === 0 ? ["requests: no masking rule is about them"] : []),
        ...(response.rules.length === 0 ? ["responses: no masking rule is about them"] : []),
        ...names,
        ...opaque(connection),
        ...NEVER[connection.protocol],
      ],
      uninspectable: connection.uninspectable,
    };
  });
}

function opaque({ protocol, opaque: passes, descriptorFiles }: CoveredConnection): readonly string[] {
  if (protocol !== "grpc" || passes === "block") return [];
  return [`services that neither the Open Inference Protocol nor ${descriptorFiles.length} descriptor files describe`];
}

function direction(
  { name }: CoveredConnection,
  masking: readonly MaskingRule[],
  which: MaskingRule["direction"],
): DirectionCoverage {
  const rules = masking.filter(
    (rule) => rule.direction === which && (rule.connections.includes("*") || rule.connections.includes(name)),
  );
  return {
    rules: rules.map((rule) => rule.name),
    detect: [...new Set(rules.flatMap(({ detect }) => detect))],
    patterns: rules.flatMap(({ patterns }) => patterns.map(({ type }) => type)),
    analyzers: rules.flatMap(({ analyzer }) =>
      analyzer === undefined ? [] : [`${analyzer.entities.join(", ")} by ${analyzer.url}`],
    ),
    fields: rules.reduce((sum, { fields }) => sum + fields.length, 0),
  };
}
