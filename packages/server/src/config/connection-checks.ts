import type { Finding, Path } from "./mistake.ts";
import type { View } from "./view.ts";

/** Settings that mean something in one protocol alone: elsewhere they would look like a protection that is not there. */
const OF_ONE_PROTOCOL: readonly { readonly key: Path; readonly protocol: string }[] = [
  { key: ["descriptors"], protocol: "grpc" },
  { key: ["opaque"], protocol: "grpc" },
  { key: ["modelFunctions"], protocol: "postgres" },
  { key: ["readFunctions"], protocol: "postgres" },
  { key: ["limits", "responseRows"], protocol: "postgres" },
];

const APIS_OF: Readonly<Record<string, readonly string[]>> = {
  grpc: ["oip", "triton", "generic"],
  postgres: ["generic"],
};

/** What a connection's settings demand of each other. */
export function checkConnections(view: View): Finding[] {
  return view.items(["connections"]).flatMap((connection) => {
    const protocol = view.has([...connection, "protocol"]) ? view.text([...connection, "protocol"]) : "http";
    if (protocol === undefined) return [];
    const findings: Finding[] = [];
    for (const one of OF_ONE_PROTOCOL) {
      const path = [...connection, ...one.key];
      if (protocol !== one.protocol && view.has(path)) {
        const offset = view.keyOffset(path);
        findings.push({ path, offset, message: `only a connection with protocol ${one.protocol} has it` });
      }
    }
    const api = view.text([...connection, "api"]);
    const apis = APIS_OF[protocol];
    if (api !== undefined && apis !== undefined && !apis.includes(api)) {
      findings.push({ path: [...connection, "api"], message: `with protocol ${protocol} write ${apis.join(", ")}` });
    }
    return findings;
  });
}
