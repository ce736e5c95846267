import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { canonicalize, type Json } from "./canonical.ts";
import { sharedData } from "./testing/shared-data.ts";

const folder = sharedData("tlog/jcs");
const names = folder === undefined ? [] : readdirSync(join(folder, "input")).map((name) => name.replace(".json", ""));

describe.skipIf(folder === undefined)("RFC 8785's own test data", () => {
  const file = (path: string): string => readFileSync(join(folder ?? "", path), "utf8");

  test("is all there", () => {
    expect(names.sort()).toEqual(["arrays", "french", "structures", "unicode", "values", "weird"]);
  });

  test.each(names)("%s", (name) => {
    const canonical = canonicalize(JSON.parse(file(`input/${name}.json`)) as Json);
    expect(canonical).toBe(file(`output/${name}.json`).trimEnd());
    expect(Buffer.from(canonical).toString("hex")).toBe(file(`outhex/${name}.txt`).replaceAll(/\s/g, ""));
    expect(canonicalize(JSON.parse(canonical) as Json)).toBe(canonical);
  });
});
