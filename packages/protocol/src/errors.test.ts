import { describe, expect, test } from "vitest";
import { ERROR_SHAPES, type ErrorCode, HoopishError, isErrorCode, toHoopishError } from "./errors.ts";

const codes = Object.keys(ERROR_SHAPES) as ErrorCode[];

describe("the table of codes", () => {
  test.each(codes)("%s has a shape that every protocol can carry", (code) => {
    const { http, grpc, sqlstate, exit } = ERROR_SHAPES[code];
    expect(http).toBeGreaterThanOrEqual(400);
    expect(http).toBeLessThan(600);
    expect(grpc).toBeGreaterThanOrEqual(1);
    expect(grpc).toBeLessThanOrEqual(16);
    expect(sqlstate).toMatch(/^[0-9A-Z]{5}$/);
    expect(sqlstate).not.toMatch(/^0[012]/); // classes of success, warning and no data
    expect([1, 3, 4, 5, 6, 7, 78]).toContain(exit);
  });

  test("nothing that was refused for good invites the client to try again", () => {
    const final: ErrorCode[] = ["access_denied", "policy_blocked", "approval_denied", "bad_request", "usage"];
    expect(final.filter((code) => ERROR_SHAPES[code].retryable)).toEqual([]);
  });

  test("isErrorCode knows the codes and nothing that every object has", () => {
    expect(codes.every(isErrorCode)).toBe(true);
    expect(["toString", "__proto__", "constructor", "", "Internal", undefined, 7].some(isErrorCode)).toBe(false);
  });
});

describe("HoopishError", () => {
  test("shows code, message and hint, and keeps its cause to itself", () => {
    const error = new HoopishError("conflict", "taken", { hint: "choose another", cause: new Error("secret") });
    expect(error.toBody()).toEqual({ error: { code: "conflict", message: "taken", hint: "choose another" } });
    expect(JSON.stringify(error.toBody())).not.toContain("secret");
    expect(error.shape.http).toBe(409);
    expect((error.cause as Error).message).toBe("secret");
  });

  test("has no hint and no cause when none was given", () => {
    const error = new HoopishError("internal", "broken");
    expect(error.toBody()).toEqual({ error: { code: "internal", message: "broken" } });
    expect("cause" in error).toBe(false);
  });
});

describe("toHoopishError", () => {
  test("lets our own errors through", () => {
    const error = new HoopishError("not_found", "nothing");
    expect(toHoopishError(error, "upstream_failed", "other")).toBe(error);
  });

  test.each([new Error("password=1234"), "password=1234", undefined, null, { message: "password=1234" }])(
    "turns %j into internal, and shows nothing of it",
    (thrown) => {
      const error = toHoopishError(thrown);
      expect(error.code).toBe("internal");
      expect(JSON.stringify(error.toBody())).not.toContain("1234");
      expect(error.cause).toBe(thrown);
    },
  );
});
