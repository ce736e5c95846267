import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

/**
 * Who may import whom, as a table. A room that imports what its row does not name fails here, with the reason in the row.
 * Order matters: a file belongs to the first row whose folder holds it.
 */

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

interface Row {
  readonly room: string;
  readonly may: readonly string[];
  readonly why: string;
}

const S = "packages/server/src";

const TABLE: readonly Row[] = [
  { room: "packages/protocol/src", may: [], why: "pure formats: everything stands on it, it stands on nothing" },
  {
    room: "packages/tunnel/src",
    may: ["packages/protocol/src"],
    why: "carries bytes; knows frames, not what they mean",
  },
  {
    room: "packages/agent/src",
    may: ["packages/protocol/src", "packages/tunnel/src"],
    why: "the credential's only home: nothing of the server or the CLI may be near it",
  },
  {
    room: "packages/cli/src",
    may: ["packages/protocol/src", "packages/tunnel/src"],
    why: "a client has the contract, never the server's code",
  },
  { room: "fixtures/src", may: [], why: "stand-ins know nothing of hoopish, or they would prove nothing about it" },
  {
    room: `${S}/conditions`,
    may: [],
    why: "the language of rules: checked where they are read, run where they are judged",
  },
  {
    room: `${S}/config`,
    may: ["packages/protocol/src", `${S}/conditions`, `${S}/masking`],
    why: "reads a file; decides nothing",
  },
  { room: `${S}/identity`, may: ["packages/protocol/src", `${S}/config`], why: "tokens to principals, and no further" },
  {
    room: `${S}/policy`,
    may: ["packages/protocol/src", `${S}/conditions`, `${S}/config`, `${S}/identity`],
    why: "a pure function of rules and principal: no clock, store or network can reach it",
  },
  {
    room: `${S}/protobuf`,
    may: ["packages/protocol/src"],
    why: "the wire of gRPC's messages, and what their fields are; pure",
  },
  {
    room: `${S}/masking`,
    may: ["packages/protocol/src", `${S}/protobuf`],
    why: "what is found in texts, and what stands for it; pure",
  },
  {
    room: `${S}/operations`,
    may: ["packages/protocol/src", `${S}/protobuf`],
    why: "from a request to its meaning; pure",
  },
  { room: `${S}/evidence`, may: ["packages/protocol/src"], why: "the log knows records, not why they are made" },
  { room: `${S}/locks`, may: ["packages/protocol/src", `${S}/evidence`], why: "who is shut out, as the log tells it" },
  {
    room: `${S}/notifications`,
    may: ["packages/protocol/src", `${S}/evidence`],
    why: "what endpoints outside are told, from the log alone; decides nothing",
  },
  {
    room: `${S}/approvals`,
    may: ["packages/protocol/src", `${S}/config`, `${S}/evidence`, `${S}/identity`, `${S}/operations`],
    why: "what people were asked and said, as the log tells it; knows no call and no rule",
  },
  {
    room: `${S}/sessions`,
    may: [
      "packages/protocol/src",
      `${S}/config`,
      `${S}/evidence`,
      `${S}/identity`,
      `${S}/locks/port.ts`,
      `${S}/policy`,
    ],
    why: "a session is a grant in use",
  },
  {
    room: `${S}/relay`,
    may: [
      "packages/protocol/src",
      `${S}/approvals/port.ts`,
      ...["config", "evidence", "masking", "operations", "policy", "sessions"].map((x) => `${S}/${x}`),
    ],
    why: "the list of steps: knows ports, never the tunnel, a parser or a store",
  },
  {
    room: `${S}/agents`,
    may: ["packages/protocol/src", "packages/tunnel/src", `${S}/config`, `${S}/evidence`, `${S}/relay/ports.ts`],
    why: "who is enrolled and connected; implements the relay's way to them",
  },
  {
    room: `${S}/protocols`,
    may: [
      "packages/protocol/src",
      ...["masking", "operations", "protobuf", "relay", "sessions"].map((x) => `${S}/${x}`),
    ],
    why: "a stream's bytes become a call, and its answer bytes again; what is different from one protocol to another",
  },
  {
    room: `${S}/entry`,
    may: [
      "packages/protocol/src",
      "packages/tunnel/src",
      `${S}/agents`,
      `${S}/evidence`,
      `${S}/identity`,
      `${S}/locks`,
      `${S}/protocols`,
      `${S}/sessions`,
    ],
    why: "the two kinds of tunnel: who is at the other end, and what its streams are",
  },
  {
    room: `${S}/console`,
    may: [
      "packages/protocol/src",
      `${S}/agents`,
      `${S}/approvals`,
      `${S}/config`,
      `${S}/entry/bearer.ts`,
      `${S}/entry/refusals.ts`,
      `${S}/evidence`,
      `${S}/identity`,
      `${S}/locks`,
      `${S}/notifications`,
      `${S}/operations/read-body.ts`,
      `${S}/policy`,
      `${S}/sessions`,
    ],
    why: "the control API: reads and administers, never on a call's path",
  },
  {
    room: `${S}/adapters/anchors`,
    may: ["packages/protocol/src", `${S}/adapters/bounded-fetch.ts`, `${S}/config/config.ts`, `${S}/evidence`],
    why: "places outside the store, as the configuration names them; nothing but main and tests may know that they exist",
  },
  {
    room: `${S}/adapters`,
    may: [
      "packages/protocol/src",
      `${S}/agents/port.ts`,
      `${S}/evidence`,
      `${S}/masking/analyzer.ts`,
      `${S}/notifications`,
    ],
    why: "implements ports; nothing but main and tests may know that it exists",
  },
  {
    room: `${S}/server.ts`,
    may: [
      "packages/protocol/src",
      "packages/tunnel/src",
      ...["agents", "approvals", "config", "console", "entry", "evidence"].map((x) => `${S}/${x}`),
      ...[
        "identity",
        "locks",
        "masking",
        "notifications",
        "operations",
        "policy",
        "protobuf",
        "protocols",
        "relay",
        "sessions",
      ].map((x) => `${S}/${x}`),
    ],
    why: "puts the slices together over ports; knows no adapter",
  },
  {
    room: S,
    may: ["packages/protocol/src", S],
    why: "main.ts and index.ts: the composition root and what tests may use",
  },
  {
    room: "test/src",
    may: [
      "packages/protocol/src",
      "packages/tunnel/src",
      "packages/agent/src",
      "packages/server/src",
      "packages/cli/src",
      "fixtures/src",
    ],
    why: "may import all, through package entries",
  },
];

const ENTRIES: Readonly<Record<string, string>> = {
  "@hoopish/protocol": "packages/protocol/src/index.ts",
  "@hoopish/protocol/bundle": "packages/protocol/src/bundle/index.ts",
  "@hoopish/protocol/postgres": "packages/protocol/src/postgres/index.ts",
  "@hoopish/tunnel": "packages/tunnel/src/index.ts",
  "@hoopish/agent": "packages/agent/src/index.ts",
  "@hoopish/server": "packages/server/src/index.ts",
  "@hoopish/cli": "packages/cli/src/index.ts",
  "@hoopish/fixtures": "fixtures/src/index.ts",
};

/** Node's pure modules: allowed in `protocol`, which has no I/O. */
const PURE_NODE = new Set(["node:crypto", "node:buffer", "node:zlib"]);

const within = (file: string, room: string): boolean => file === room || file.startsWith(`${room}/`);
const isTest = (file: string): boolean => /\.test\.tsx?$|\/testing\/|\.fuzz\.|\/bench\//.test(file);

function files(): string[] {
  const roots = ["packages", "fixtures", "test"];
  return roots
    .flatMap((root) =>
      readdirSync(join(ROOT, root), { recursive: true, encoding: "utf8" }).map((name) => `${root}/${name}`),
    )
    .filter((name) => /\/src\/.*\.tsx?$/.test(name) && !name.includes("node_modules") && !name.includes("/dist/"));
}

function imports(file: string): string[] {
  const source = readFileSync(join(ROOT, file), "utf8");
  return [...source.matchAll(/^\s*(?:import|export)\s(?:[^"';]*?\sfrom\s)?"([^"]+)"|\bimport\("([^"]+)"\)/gm)].map(
    (match) => match[1] ?? match[2] ?? "",
  );
}

function resolved(file: string, specifier: string): string | undefined {
  if (specifier.startsWith(".")) return relative(ROOT, join(ROOT, dirname(file), specifier));
  return ENTRIES[specifier];
}

const sources = files().filter((file) => !isTest(file));

describe("the layers", () => {
  it("covers every file with a row", () => {
    const homeless = sources.filter((file) => !TABLE.some(({ room }) => within(file, room)));
    expect(homeless).toEqual([]);
  });

  it.each(TABLE)("$room: $why", ({ room, may }) => {
    const wrong: string[] = [];
    for (const file of sources) {
      if (TABLE.find((row) => within(file, row.room))?.room !== room) continue;
      for (const specifier of imports(file)) {
        const target = resolved(file, specifier);
        if (target === undefined || within(target, room)) continue;
        if (!may.some((allowed) => within(target, allowed))) wrong.push(`${file} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("keeps I/O out of protocol", () => {
    const impure = sources
      .filter((file) => within(file, "packages/protocol/src"))
      .flatMap((file) => imports(file).map((specifier) => ({ file, specifier })))
      .filter(({ specifier }) => specifier.startsWith("node:") && !PURE_NODE.has(specifier));
    expect(impure).toEqual([]);
  });

  it("has no import circle", () => {
    const graph = new Map(
      sources.map((file) => [
        file,
        imports(file)
          .map((name) => resolved(file, name))
          .filter((name) => name !== undefined),
      ]),
    );
    const state = new Map<string, "open" | "done">();
    const circles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (state.get(file) === "done") return;
      if (state.get(file) === "open") {
        circles.push([...path.slice(path.indexOf(file)), file].join(" → "));
        return;
      }
      state.set(file, "open");
      for (const next of graph.get(file) ?? []) if (graph.has(next)) visit(next, [...path, file]);
      state.set(file, "done");
    };
    for (const file of graph.keys()) visit(file, []);
    expect(circles).toEqual([]);
  });
});
