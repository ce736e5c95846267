// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${…} is what a configuration says, not a template of ours
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { initConfig } from "./init.ts";
import { configJsonSchema } from "./schema.ts";

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
}

/** The part of JSON Schema that ours uses. */
function accepts(schema: Schema, value: unknown): boolean {
  if (schema.anyOf !== undefined) return schema.anyOf.some((choice) => accepts(choice, value));
  if (schema.enum !== undefined && !schema.enum.includes(value)) return false;
  if (schema.type === "object") return acceptsObject(schema, value);
  if (schema.type === "array") return Array.isArray(value) && value.every((item) => accepts(schema.items ?? {}, item));
  if (schema.type === "integer") return Number.isInteger(value);
  const pattern =
    schema.pattern === undefined || (typeof value === "string" && new RegExp(schema.pattern, "u").test(value));
  return typeof value === schema.type && pattern;
}

function acceptsObject({ properties = {}, required = [], additionalProperties }: Schema, value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const known = Object.entries(value).every(([key, member]) => {
    const schema = properties[key];
    return schema === undefined ? additionalProperties !== false : accepts(schema, member);
  });
  return known && required.every((key) => Object.hasOwn(value, key));
}

describe("configJsonSchema", () => {
  it("is what the package publishes (npm run schema -w packages/server writes it)", () => {
    const published = readFileSync(new URL("../../config.schema.json", import.meta.url), "utf8");
    expect(JSON.parse(published)).toEqual(JSON.parse(JSON.stringify(configJsonSchema())));
  });

  const schema = configJsonSchema() as Schema;
  const sample = parse(initConfig()) as Record<string, unknown>;

  it("accepts what init writes, and substitutions in place of values", () => {
    expect(accepts(schema, sample)).toBe(true);
    expect(
      accepts(schema, { ...sample, logLevel: "${env:LEVEL}", drain: "${env:DRAIN}", trustProxy: "${env:P}" }),
    ).toBe(true);
  });

  it("refuses unknown keys everywhere, missing ones and wrong values", () => {
    expect(accepts(schema, { ...sample, maskings: [] })).toBe(false);
    expect(accepts(schema, { ...sample, roles: { admins: [] } })).toBe(false);
    expect(accepts(schema, { ...sample, drain: "soon" })).toBe(false);
    expect(accepts(schema, { ...sample, rules: [{ name: "a" }] })).toBe(false);
    const { rules: _, ...without } = sample;
    expect(accepts(schema, without)).toBe(false);
  });

  it("closes every object", () => {
    const open: string[] = [];
    const visit = (node: unknown, path: string): void => {
      if (typeof node !== "object" || node === null) return;
      if ("type" in node && node.type === "object" && "properties" in node && !("additionalProperties" in node))
        open.push(path);
      for (const [key, child] of Object.entries(node)) visit(child, `${path}/${key}`);
    };
    visit(schema, "");
    expect(open).toEqual([]);
  });
});
