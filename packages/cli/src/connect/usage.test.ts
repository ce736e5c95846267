import { expect, it } from "vitest";
import { baseUrl, childEnv, endpointEnv, tryLine } from "./usage.ts";

const openai = { connection: "model-x", protocol: "http", api: "openai", port: 20001 } as const;
const oip = { connection: "credit.v2", protocol: "http", api: "oip", port: 20002 } as const;
const ollama = { connection: "llama", protocol: "http", api: "ollama", port: 20003 } as const;

it("gives each API the variables that its clients read; the first of a kind has the short names", () => {
  expect(endpointEnv([oip, openai, ollama], undefined)).toEqual({
    HOOPISH_URL: "http://127.0.0.1:20002",
    HOOPISH_URL_CREDIT_V2: "http://127.0.0.1:20002",
    HOOPISH_URL_MODEL_X: "http://127.0.0.1:20001",
    HOOPISH_URL_LLAMA: "http://127.0.0.1:20003",
    OPENAI_BASE_URL: "http://127.0.0.1:20001/v1",
    OPENAI_API_KEY: "hoopish",
    OLLAMA_HOST: "http://127.0.0.1:20003",
  });
});

it("puts the session's key where it is required", () => {
  expect(endpointEnv([openai], "k")).toMatchObject({ OPENAI_API_KEY: "k", HOOPISH_KEY: "k" });
  expect(tryLine(openai, "k")).toBe('curl -H "Authorization: Bearer k" http://127.0.0.1:20001/v1/models');
  expect(tryLine(oip, undefined)).toBe("curl http://127.0.0.1:20002/v2");
  expect(baseUrl(oip)).toBe("http://127.0.0.1:20002");
});

it("tells clients of gRPC and PostgreSQL what theirs need", () => {
  const grpc = { connection: "scores", protocol: "grpc", api: "oip", port: 20004 } as const;
  const db = { connection: "features", protocol: "postgres", api: "generic", port: 20005 } as const;
  expect(endpointEnv([grpc, db], undefined)).toEqual({
    HOOPISH_URL: "127.0.0.1:20004",
    HOOPISH_URL_SCORES: "127.0.0.1:20004",
    HOOPISH_URL_FEATURES: "postgresql://hoopish@127.0.0.1:20005/",
    PGHOST: "127.0.0.1",
    PGPORT: "20005",
    PGUSER: "hoopish",
    PGSSLMODE: "disable",
    PGGSSENCMODE: "disable",
  });
  expect(tryLine(grpc, undefined)).toBe(
    "grpcurl -plaintext 127.0.0.1:20004 inference.GRPCInferenceService/ServerReady",
  );
  expect(tryLine(db, undefined)).toBe('psql "host=127.0.0.1 port=20005 user=hoopish"');
});

it("keeps a child's calls away from a web proxy, and adds to its exemptions", () => {
  expect(childEnv({ HTTP_PROXY: "http://proxy:3128", NO_PROXY: "bank.example", no_proxy: "" }, { A: "1" })).toEqual({
    HTTP_PROXY: "http://proxy:3128",
    NO_PROXY: "bank.example,127.0.0.1,localhost",
    no_proxy: "bank.example,127.0.0.1,localhost",
    A: "1",
  });
  expect(childEnv({ X: "y" }, {})).toEqual({ X: "y" });
});
