import { describe, expect, it } from "vitest";
import { answerHeaders, forwardedHeaders } from "./headers.ts";

describe("what goes to the model", () => {
  it("has neither the client's credentials nor its wish for compression", () => {
    const sent = [
      "authorization",
      "Bearer x",
      "x-api-key",
      "k",
      "api-key",
      "k",
      "cookie",
      "c",
      "accept-encoding",
      "gzip",
      "content-type",
      "application/json",
    ];
    expect(forwardedHeaders(sent)).toEqual(["content-type", "application/json"]);
  });

  it("has nothing that speaks of one hop, nor what `connection` names", () => {
    const sent = [
      "connection",
      "X-Secret-Hop, close",
      "x-secret-hop",
      "1",
      "te",
      "trailers",
      "transfer-encoding",
      "chunked",
      "host",
      "a",
      "x-keep",
      "2",
    ];
    expect(forwardedHeaders(sent)).toEqual(["x-keep", "2"]);
  });

  it("keeps repeated fields and their order", () => {
    expect(forwardedHeaders(["x-a", "1", "x-b", "2", "x-a", "3"])).toEqual(["x-a", "1", "x-b", "2", "x-a", "3"]);
  });
});

describe("what comes back", () => {
  it("cannot forge the gateway's own field", () => {
    expect(answerHeaders(["hoopish-call", "call_forged", "content-length", "2"])).toEqual(["content-length", "2"]);
  });
});
