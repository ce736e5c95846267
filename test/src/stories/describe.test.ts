import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, credentials, type ServiceError } from "@grpc/grpc-js";
import {
  clientOf,
  type GrpcModelServer,
  type ReflectionServer,
  startGrpcModelServer,
  startReflectionServer,
} from "@hoopish/fixtures";
import { afterAll, beforeAll, expect, it } from "vitest";
import { run } from "../world/program.ts";
import { type Connected, World } from "../world/world.ts";

/** What `hoopish-agent describe` writes is what the server reads: a service of the bank's own is looked into, and masked. */

let folder: string;
let notesServer: GrpcModelServer;
let ledgerServer: ReflectionServer;
let world: World;
let notes: Connected;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "describe-"));
  notesServer = await startGrpcModelServer({ token: "grpc-secret" });
  ledgerServer = await startReflectionServer({ versions: ["v1alpha"] });
  const targets = `
  - { name: notes, target: "${notesServer.url}", credential: { header: Authorization, value: "Bearer grpc-secret" } }
  - { name: ledger, target: "${ledgerServer.url}" }`;
  const config = join(folder, "agent.yaml");
  writeFileSync(config, `server: ws://127.0.0.1:1\nname: edge-1\nkeyFile: k\nconnections:${targets}\n`);
  for (const name of ["notes", "ledger"]) {
    const out = join(folder, `${name}.binpb`);
    const asked = run("hoopish-agent", ["describe", name, "--config", config, "--out", out]);
    const { code } = await asked.ended;
    if (code !== 0) throw new Error(asked.stderr);
  }
  const connection = (name: string): string =>
    `\n  - { name: ${name}, agent: edge-1, protocol: grpc, api: generic, descriptors: [${JSON.stringify(join(folder, `${name}.binpb`))}] }`;
  world = await World.start({
    rules: `\n  - { name: scientists, connections: ["*"], groups: [data-science], then: allow }`,
    connections: connection("notes") + connection("ledger"),
    serverExtra: `masking:
  - { name: answers, connections: ["*"], direction: response, detect: [US_SSN], action: redact }
`,
    targets,
  });
  await world.signIn("scientist");
  notes = await world.connect("scientist", "notes");
}, 120_000);
afterAll(async () => {
  await world?.close();
  await notesServer?.close();
  await ledgerServer?.close();
  rmSync(folder, { recursive: true });
});

it("the gate knows the service's messages", async () => {
  const client = new (clientOf("bank.notes.Notes"))(`127.0.0.1:${notes.port}`, credentials.createInsecure());
  const answer = await new Promise((resolve, reject) => {
    (client as Client & Record<string, CallableFunction>).Read?.(
      { applicant: "Ada" },
      (error: ServiceError | null, note: object) => (error === null ? resolve(note) : reject(error)),
    );
  });
  client.close();
  expect(answer).toMatchObject({ author: "Maria Delgado", text: "Ada gave the SSN [US_SSN] by phone." });
});

it("the gate takes a set of several files, and knows a method that its target does not have", async () => {
  const ledger = await world.connect("scientist", "ledger");
  const client = new (clientOf("bank.notes.Notes"))(`127.0.0.1:${ledger.port}`, credentials.createInsecure());
  const status = (path: string): Promise<number> =>
    new Promise((resolve) => {
      const pass = (bytes: Buffer): Buffer => bytes;
      client.makeUnaryRequest(path, pass, pass, Buffer.alloc(0), (error) => resolve(error?.code ?? 0));
    });
  // PERMISSION_DENIED is the gate's word for what nothing describes; UNIMPLEMENTED the target's own.
  expect(await status("/bank.notes.Notes/Read")).toBe(7);
  expect(await status("/bank.ledger.Ledger/Find")).toBe(12);
  client.close();
});
