import { expect, it } from "vitest";
import { SEVERITY, WRITES, worstKind } from "./kinds.ts";

it("puts what writes before what reads", () => {
  expect(worstKind(["select", "delete_without_where", "insert"])).toBe("delete_without_where");
  expect(worstKind(["select", "model_call"])).toBe("model_call");
  expect(worstKind([])).toBe("other");
  for (const kind of ["select", "model_call", "transaction", "explain"] as const) expect(WRITES.has(kind)).toBe(false);
  for (const kind of ["insert", "ddl", "call", "copy_in"] as const) expect(WRITES.has(kind)).toBe(true);
  expect(new Set(SEVERITY).size).toBe(SEVERITY.length);
});
