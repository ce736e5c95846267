import { credentials, type Client as GrpcClient, type ServiceError } from "@grpc/grpc-js";
import {
  applicant,
  clientOf,
  type GrpcModelServer,
  type PostgresFixture,
  startGrpcModelServer,
  startPostgres,
} from "@hoopish/fixtures";
import pg from "pg";
import type { World } from "../world/world.ts";
import { command, output, say, step } from "./screen.ts";

/** The demo's servers beside the HTTP one: a gRPC model server, and a PostgreSQL with the same model as a function. */
export interface OtherServers {
  readonly grpc: GrpcModelServer;
  readonly postgres: PostgresFixture;
  close(): Promise<void>;
}

export async function startOtherServers(): Promise<OtherServers> {
  const [grpc, postgres] = await Promise.all([startGrpcModelServer({ token: "grpc-demo-secret" }), startPostgres()]);
  return {
    grpc,
    postgres,
    async close() {
      await Promise.all([grpc.close(), postgres.close()]);
    },
  };
}

/** What of them stands in the server's configuration, and what in the agent's. */
export function otherConnections({ grpc, postgres }: OtherServers): { connections: string; targets: string } {
  return {
    connections: `
  - { name: scores, agent: edge-1, protocol: grpc, api: oip }
  - { name: features, agent: edge-1, protocol: postgres, api: generic, modelFunctions: [predict_default] }`,
    targets: `
  - name: scores
    target: ${grpc.url}
    credential: { header: Authorization, value: "Bearer grpc-demo-secret" }
  - name: features
    target: ${postgres.url}
    credential: { postgres: ${postgres.user}, value: ${JSON.stringify(postgres.password)} }`,
  };
}

export async function grpcAndSql(world: World): Promise<void> {
  await grpcInference(world);
  await sqlQueries(world);
}

async function grpcInference(world: World): Promise<void> {
  step("The same model over gRPC, with @grpc/grpc-js; texts in tensors arrive masked");
  command("hoopish connect scores");
  const scores = await world.connect("scientist", "scores");
  const client: GrpcClient & Record<string, CallableFunction> = new (clientOf("inference.GRPCInferenceService"))(
    `127.0.0.1:${scores.port}`,
    credentials.createInsecure(),
  ) as never;
  const ask = (method: string, request: object): Promise<{ outputs: { contents: Record<string, unknown[]> }[] }> =>
    new Promise((resolve, reject) => {
      client[method]?.(request, (error: ServiceError | null, answer: never) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
  const rows = { name: "rows", datatype: "FP64", shape: [1, 8], contents: { fp64_contents: applicant(42).features } };
  const answer = await ask("ModelInfer", { model_name: "credit", inputs: [rows] });
  output(`ModelInfer credit: ${JSON.stringify(answer.outputs[0]?.contents.fp64_contents)}`);
  const letter = await ask("ModelInfer", {
    model_name: "letters",
    inputs: [{ name: "n", datatype: "INT64", shape: [1], contents: { int64_contents: [1] } }],
  });
  const text = String(letter.outputs[0]?.contents.bytes_contents?.[0]);
  output(`ModelInfer letters: ${text}`);
  if (!text.includes("[US_SSN]")) throw new Error("the tensor's text was not masked");
  const refused = (await ask("RepositoryModelUnload", { model_name: "credit" }).catch(
    (thrown) => thrown,
  )) as ServiceError;
  output(`RepositoryModelUnload credit: status ${refused.code}, ${refused.details}`);
  if (refused.code !== 7) throw new Error("the repository change was not blocked");
  client.close();
  await scores.program.stop("SIGINT");
}

async function sqlQueries(world: World): Promise<void> {
  step("And in SQL: psql and drivers as they are, rows masked, a DELETE without WHERE refused by the same rules");
  command("hoopish connect features -- psql");
  const features = await world.connect("scientist", "features");
  const client = new pg.Client({ host: "127.0.0.1", port: features.port, user: "me", database: "credit" });
  await client.connect();
  const { rows } = await client.query("SELECT id, name, ssn, email, loan_amount FROM applicants WHERE id = 43");
  output(`SELECT id, name, ssn, email, loan_amount FROM applicants WHERE id = 43\n${JSON.stringify(rows[0])}`);
  if (rows[0]?.ssn !== "[US_SSN]") throw new Error("the row was not masked");
  const refused = (await client.query("DELETE FROM decisions").catch((thrown) => thrown)) as pg.DatabaseError;
  output(`DELETE FROM decisions\n${refused.severity} ${refused.code}: ${refused.message}`);
  if (refused.code !== "42501") throw new Error("the DELETE was not blocked");
  say("one rules file: a bulk prediction would wait for a risk officer here as well");
  await client.end();
  await features.program.stop("SIGINT");
}
