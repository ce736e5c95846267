import { expect, it } from "vitest";
import { baseUrl, childEnv, curlLine, endpointEnv } from "./usage.ts";

const openai = { connection: "model-x", api: "openai", port: 20001 } as const;
const oip = { connection: "credit.v2", api: "oip", port: 20002 } as const;
const ollama = { connection: "llama", api: "ollama", port: 20003 } as const;

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
  expect(curlLine(openai, "k")).toBe('curl -H "Authorization: Bearer k" http://127.0.0.1:20001/v1/models');
  expect(curlLine(oip, undefined)).toBe("curl http://127.0.0.1:20002/v2");
  expect(baseUrl(oip)).toBe("http://127.0.0.1:20002");
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
