import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { credentials, type Client as GrpcClient, Metadata, type ServiceError } from "@grpc/grpc-js";
import {
  applicant,
  clientOf,
  type GrpcModelServer,
  letter,
  loadCreditModel,
  type PostgresFixture,
  predictRow,
  startGrpcModelServer,
  startPostgres,
} from "@hoopish/fixtures";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Exported, exportLog } from "../world/log.ts";
import { type Connected, World } from "../world/world.ts";

/** One rules file, one log: the same words for HTTP, gRPC and SQL. */

const DETECT = "[US_SSN, EMAIL, PERSON]";
const RULES = `
  - { name: scientists, connections: ["*"], groups: [data-science], then: allow }
  - name: bulk-prediction
    connections: ["*"]
    when: call.rows > 100
    then: hold
    approval: { groups: [risk-officers], quorum: 1, wait: 20s, expires: 1m }
  - { name: no-admin, connections: ["*"], when: 'call.kind == "admin"', then: block, message: "Model repository changes go through release." }
  - name: no-wiping
    connections: ["*"]
    when: 'call.kind in ["delete_without_where", "update_without_where", "truncate", "ddl", "do", "call", "set_role"]'
    then: block
    message: Changes to whole tables go through release.`;
const EXTRA = `masking:
  - { name: answers, connections: ["*"], direction: response, detect: ${DETECT}, action: redact }
  - { name: no-ssn-out, connections: ["*"], direction: request, detect: [CREDIT_CARD], action: redact }
`;

let world: World;
let grpcServer: GrpcModelServer;
let postgres: PostgresFixture;
let scores: Connected;
let features: Connected;

beforeAll(async () => {
  grpcServer = await startGrpcModelServer({ token: "grpc-secret" });
  postgres = await startPostgres();
  world = await World.start({
    rules: RULES,
    serverExtra: EXTRA,
    connections: `
  - { name: credit, agent: edge-1, protocol: http, api: oip }
  - { name: scores, agent: edge-1, protocol: grpc, api: oip }
  - { name: features, agent: edge-1, protocol: postgres, api: generic, modelFunctions: [predict_default] }`,
    targets: `
  - name: scores
    target: ${grpcServer.url}
    credential: { header: Authorization, value: "Bearer grpc-secret" }
  - name: features
    target: ${postgres.url}
    credential: { postgres: ${postgres.user}, value: ${JSON.stringify(postgres.password)} }`,
  });
  for (const account of ["scientist", "audit", "risk1"] as const) await world.signIn(account);
  scores = await world.connect("scientist", "scores");
  features = await world.connect("scientist", "features");
}, 120_000);
afterAll(async () => {
  await world?.close();
  await grpcServer?.close();
  await postgres?.close();
});

type Answer = Record<string, never>;
const INFERENCE = "inference.GRPCInferenceService";
const grpcClient = (service = INFERENCE): GrpcClient & Record<string, CallableFunction> =>
  new (clientOf(service))(`127.0.0.1:${scores.port}`, credentials.createInsecure()) as never;
function ask(client: GrpcClient & Record<string, CallableFunction>, method: string, request: object): Promise<Answer> {
  const metadata = new Metadata();
  // A client's own credentials stay behind.
  metadata.set("authorization", "Bearer the-client's-own");
  metadata.set("x-api-key", "the-client's-own");
  return new Promise((resolve, reject) => {
    client[method]?.(request, metadata, (error: ServiceError | null, answer: Answer) =>
      error === null ? resolve(answer) : reject(error),
    );
  });
}
const rowsInput = (count: number) => ({
  name: "rows",
  datatype: "FP64",
  shape: [count, 8],
  contents: { fp64_contents: Array.from({ length: count }, () => applicant(3).features).flat() },
});
const approveNext = async (): Promise<void> => {
  for (let tries = 0; tries < 100; tries++) {
    const { stdout } = await world.cli("risk1", ["requests", "--json"]);
    const open = (JSON.parse(stdout) as { approvals: { id: string }[] }).approvals;
    if (open[0] !== undefined) {
      const { code, stderr } = await world.cli("risk1", ["approve", open[0].id, "--reason", "for the story"]);
      if (code !== 0) throw new Error(stderr);
      return;
    }
  }
  throw new Error("nothing waits");
};

describe("gRPC", () => {
  it("answers @grpc/grpc-js as the model server would", async () => {
    const client = grpcClient();
    const { outputs } = (await ask(client, "ModelInfer", {
      model_name: "credit",
      inputs: [rowsInput(1)],
    })) as unknown as {
      outputs: { contents: { fp64_contents: number[] } }[];
    };
    expect(outputs[0]?.contents.fp64_contents[0]).toBeCloseTo(predictRow(loadCreditModel(), applicant(3).features), 12);
    expect(await ask(client, "ServerReady", {})).toEqual({ ready: true });
    client.close();
    expect(grpcServer.stats()).toMatchObject({ refused: 0, foreignCredentials: 0 });
  });

  it("masks the texts of tensors", async () => {
    const client = grpcClient();
    const { outputs } = (await ask(client, "ModelInfer", {
      model_name: "letters",
      inputs: [{ name: "n", datatype: "INT64", shape: [3], contents: { int64_contents: [0, 0, 0] } }],
    })) as unknown as { outputs: { contents: { bytes_contents: Buffer[] } }[] };
    client.close();
    const letters = outputs[0]?.contents.bytes_contents.map(String) ?? [];
    expect(letters).toHaveLength(3);
    for (const [number, text] of letters.entries()) {
      expect(text).toContain("[US_SSN]");
      expect(text).not.toContain(applicant(number).ssn);
      expect(text).not.toContain(applicant(number).email);
      expect(letter(number)).toContain(applicant(number).ssn);
    }
  });

  it("refuses a change of the repository with the rule's message", async () => {
    const client = grpcClient();
    const error = (await ask(client, "RepositoryModelUnload", { model_name: "credit" }).catch(
      (thrown) => thrown,
    )) as ServiceError;
    client.close();
    expect(error).toMatchObject({ code: 7 });
    expect(error.details).toContain("Model repository changes go through release.");
    expect(error.metadata.get("grpc-status-details-bin")).toHaveLength(1);
    expect(error.metadata.get("hoopish-call")[0]).toMatch(/^call_/);
  });

  it("holds a bulk prediction until somebody approves", async () => {
    const client = grpcClient();
    const held = ask(client, "ModelInfer", { model_name: "credit", inputs: [rowsInput(300)] });
    await approveNext();
    const { outputs } = (await held) as unknown as { outputs: { shape: number[] }[] };
    client.close();
    expect(outputs[0]?.shape).toEqual([300]);
  });

  it("streams both ways, and judges each message", async () => {
    const client = grpcClient();
    const stream = client.ModelStreamInfer?.();
    const answers: { infer_response?: { outputs: { contents: { bytes_contents: Buffer[] } }[] } }[] = [];
    let error: ServiceError | undefined;
    stream.on("data", (answer: never) => answers.push(answer));
    stream.on("error", (thrown: ServiceError) => {
      error = thrown;
    });
    const one = (rows: number) => ({
      model_name: "letters",
      inputs: [{ name: "n", datatype: "INT64", shape: [rows], contents: { int64_contents: new Array(rows).fill(0) } }],
    });
    stream.write(one(1));
    await expect.poll(() => answers.length).toBe(1);
    stream.write(one(2));
    await expect.poll(() => answers.length).toBe(2);
    expect(String(answers[1]?.infer_response?.outputs[0]?.contents.bytes_contents[1])).toContain("[US_SSN]");
    // What would be held as a call of its own does not slip through as a message of another.
    stream.write(one(500));
    await expect.poll(() => error?.code).toBe(7);
    expect(error?.details).toContain("bulk-prediction");
    expect(answers).toHaveLength(2);
    client.close();
  });

  it("gives the model server's own errors, and refuses services that nothing describes", async () => {
    const client = grpcClient();
    await expect(ask(client, "ModelInfer", { model_name: "none", inputs: [rowsInput(1)] })).rejects.toMatchObject({
      code: 5,
      details: "there is no model 'none'",
    });
    client.close();
    const notes = grpcClient("bank.notes.Notes");
    await expect(ask(notes, "Read", { applicant: "x" })).rejects.toMatchObject({ code: 7 });
    notes.close();
  });

  it("cancels the model's work when the client leaves or its deadline is over", async () => {
    const client = grpcClient();
    const before = grpcServer.stats().cancelled;
    const deadline = Date.now() + 300;
    const error = await new Promise<ServiceError>((resolve) => {
      client.ModelInfer?.({ model_name: "slow", inputs: [rowsInput(1)] }, { deadline }, resolve);
    });
    expect(error.code).toBe(4);
    await expect.poll(() => grpcServer.stats().cancelled, { timeout: 2_000 }).toBe(before + 1);
    client.close();
  });

  it("passes health and reflection by rule", async () => {
    const health = grpcClient("grpc.health.v1.Health");
    expect(await ask(health, "Check", {})).toEqual({ status: "SERVING" });
    health.close();
    const reflection = grpcClient("grpc.reflection.v1.ServerReflection");
    const stream = reflection.ServerReflectionInfo?.();
    stream.write({ list_services: "" });
    const answer = await new Promise<{ list_services_response: { service: { name: string }[] } }>((resolve, reject) => {
      stream.on("data", resolve);
      stream.on("error", reject);
    });
    stream.end();
    expect(answer.list_services_response.service.map(({ name }) => name)).toContain(INFERENCE);
    reflection.close();
  });
});

const connectPg = async (): Promise<pg.Client> => {
  const client = new pg.Client({
    host: "127.0.0.1",
    port: features.port,
    user: "me",
    database: "any",
    password: "unused",
  });
  await client.connect();
  return client;
};

describe("PostgreSQL", () => {
  it("answers pg as the database would, with what is personal masked", async () => {
    const client = await connectPg();
    const { rows } = await client.query(
      "SELECT id, name, ssn, email, loan_amount, notes FROM applicants WHERE id <= 3 ORDER BY id",
    );
    expect(rows).toHaveLength(3);
    expect(rows[0]).toMatchObject({ id: 1, ssn: "[US_SSN]", email: "[EMAIL]", name: "[PERSON]" });
    expect(rows[0].notes).toContain("[US_SSN]");
    expect(rows[0].notes).not.toContain(applicant(0).ssn);
    expect(rows[0].loan_amount).toBe(applicant(0).features[5]);
    await client.end();
  });

  it("carries parameters, prepared statements and transactions", async () => {
    const client = await connectPg();
    const named = { name: "by-id", text: "SELECT id FROM applicants WHERE id = $1" };
    for (const id of [1, 2, 3]) expect((await client.query({ ...named, values: [id] })).rows).toEqual([{ id }]);
    await client.query("BEGIN");
    await client.query("INSERT INTO decisions (applicant_id, score, decided_by) VALUES ($1, $2, $3)", [
      1,
      0.5,
      "story",
    ]);
    await client.query("ROLLBACK");
    expect((await client.query("SELECT count(*)::int AS n FROM decisions")).rows).toEqual([{ n: 0 }]);
    await client.end();
  });

  it("refuses with 42501, and the transaction stays the database's", async () => {
    const client = await connectPg();
    await client.query("BEGIN");
    await client.query("INSERT INTO decisions (applicant_id) VALUES (7)");
    const error = (await client.query("DELETE FROM decisions").catch((thrown) => thrown)) as pg.DatabaseError;
    expect(error).toMatchObject({ code: "42501" });
    expect(error.message).toContain("Changes to whole tables go through release.");
    // Nothing has gone to the database: the transaction goes on.
    expect((await client.query("SELECT count(*)::int AS n FROM decisions")).rows).toEqual([{ n: 1 }]);
    await client.query("ROLLBACK");
    await client.end();
  });

  it("gives the database's own errors", async () => {
    const client = await connectPg();
    await expect(client.query("SELECT * FROM nowhere")).rejects.toMatchObject({ code: "42P01" });
    expect((await client.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  it("holds a bulk prediction until somebody approves", async () => {
    const client = await connectPg();
    const columns = loadCreditModel().features.map(({ name }) => name);
    const held = client.query(`SELECT id, predict_default(${columns.join(", ")}) AS p FROM applicants`);
    await approveNext();
    expect((await held).rows).toHaveLength(500);
    await client.end();
  });

  it("cancels a query when its client asks", async () => {
    const client = await connectPg();
    const slow = client.query("SELECT pg_sleep(20)");
    const started = Date.now();
    setTimeout(() => {
      const canceller = new pg.Client({ host: "127.0.0.1", port: features.port, user: "me" });
      (canceller as unknown as { cancel(client: pg.Client, query: unknown): void }).cancel(
        client,
        (client as unknown as { activeQuery: unknown }).activeQuery ??
          (client as unknown as { _activeQuery: unknown })._activeQuery,
      );
    }, 300);
    await expect(slow).rejects.toMatchObject({ code: "57014" });
    expect(Date.now() - started).toBeLessThan(10_000);
    await client.end();
  });

  const hasPsql = spawnSync("psql", ["--version"]).status === 0;
  it.skipIf(!hasPsql)("works with psql, unchanged (skipped where psql is not there)", async () => {
    const env = { ...process.env, ...features.env };
    const { stdout } = await promisify(execFile)("psql", ["-At", "-c", "SELECT id, ssn FROM applicants WHERE id = 1"], {
      env,
    });
    expect(stdout).toBe("1|[US_SSN]\n");
    const tables = await promisify(execFile)("psql", ["-At", "-c", "\\dt"], { env });
    expect(tables.stdout).toContain("applicants");
  });
});

describe("the log", () => {
  it("tells the calls of all three protocols in the same words", async () => {
    const credit = await world.connect("scientist", "credit");
    const inputs = [{ name: "rows", shape: [1, 8], datatype: "FP64", data: applicant(3).features }];
    const answer = await fetch(`${credit.base}/v2/models/credit/infer`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ inputs }),
    });
    expect(answer.status).toBe(200);
    await answer.text();
    const log: Exported = await exportLog(world);
    const decided = log.records.filter(({ type }) => type === "call.decided") as unknown as {
      protocol: string;
      verdict: string;
      operation: { kind: string; rows?: number; model?: string };
      rule?: string;
    }[];
    const asked = (protocol: string, kind: string) =>
      decided.filter((record) => record.protocol === protocol && record.operation.kind === kind);
    expect(asked("http", "infer")[0]).toMatchObject({ verdict: "allow", operation: { rows: 1, model: "credit" } });
    expect(asked("grpc", "infer")[0]).toMatchObject({ verdict: "allow", operation: { rows: 1, model: "credit" } });
    expect(asked("grpc", "admin")[0]).toMatchObject({ verdict: "block", rule: "no-admin" });
    expect(asked("postgres", "model_call")[0]).toMatchObject({ verdict: "hold", rule: "bulk-prediction" });
    expect(asked("postgres", "delete_without_where")[0]).toMatchObject({ verdict: "block", rule: "no-wiping" });
    const answered = log.records.filter(({ type }) => type === "call.answered") as unknown as {
      outcome: string;
      status: number;
    }[];
    for (const { status, outcome } of answered) if (outcome === "complete") expect(status).toBeGreaterThanOrEqual(200);
    // Nothing that was masked stands in what was delivered.
    for (const [key, bytes] of log.payloads) {
      if (!key.endsWith(" delivered")) continue;
      for (const number of [0, 1, 2]) expect(bytes.includes(applicant(number).ssn)).toBe(false);
    }
  });
});
