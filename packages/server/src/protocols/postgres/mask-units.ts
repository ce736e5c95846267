import { HoopishError } from "@hoopish/protocol";
import { bind, parse, query } from "@hoopish/protocol/postgres";
import type { MaskPlan } from "../../masking/plan.ts";
import type { Tally } from "../../masking/tally.ts";
import { TextMask } from "../../masking/text-mask.ts";
import { sameShape } from "../../operations/sql/sql.ts";
import type { Unit } from "./batch.ts";

/** Types whose binary form holds a number, a truth value or a time: bool, int2/4/8, float4/8, numeric, date, time(tz), timestamp(tz), uuid. */
const NO_TEXT: ReadonlySet<number> = new Set([16, 20, 21, 23, 26, 700, 701, 1082, 1083, 1114, 1184, 1266, 1700, 2950]);
/** Types whose binary form is their text: text, name, bpchar, varchar, json, xml. */
const TEXT: ReadonlySet<number> = new Set([19, 25, 114, 142, 1042, 1043]);

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * A batch without what the plan keeps from the database: constants in its texts, and parameters.
 * @throws HoopishError policy_blocked where what must go is not a constant, response_uninspectable
 */
export function maskUnits(
  units: readonly Unit[],
  typesOf: (statement: string) => readonly number[],
  plan: MaskPlan,
  tally: Tally,
): readonly Unit[] {
  const text = (value: string, before = ""): string => new TextMask(plan, tally, false, before).push(value, true);
  const sqlOf = (sql: string): string => {
    const masked = text(sql);
    if (masked !== sql && !sameShape(sql, masked)) {
      throw new HoopishError(
        "policy_blocked",
        "what must not pass stands in the statement and not in a constant of it",
      );
    }
    return masked;
  };
  const types = new Map<string, readonly number[]>();
  return units.map((unit): Unit => {
    if (unit.kind === "parse") types.set(unit.name, unit.types);
    switch (unit.kind) {
      case "query": {
        const sql = sqlOf(unit.sql);
        return sql === unit.sql ? unit : { ...unit, sql, bytes: query(sql) };
      }
      case "parse": {
        const sql = sqlOf(unit.sql);
        return sql === unit.sql ? unit : { ...unit, sql, bytes: parse(unit.name, sql, unit.types) };
      }
      case "bind": {
        const given = types.get(unit.statement) ?? typesOf(unit.statement);
        let changed = false;
        const parameters = unit.parameters.map((value, i) => {
          if (value === null) return null;
          const binary = (unit.formats.length === 1 ? unit.formats[0] : (unit.formats[i] ?? 0)) === 1;
          const type = given[i] ?? 0;
          if (binary && NO_TEXT.has(type)) return value;
          if (binary && !TEXT.has(type)) throw unseen("a parameter is binary");
          const before = decoded(value);
          const masked = text(before);
          if (masked === before) return value;
          changed = true;
          return Buffer.from(masked);
        });
        if (!changed) return unit;
        const { portal, statement, formats, resultFormats } = unit;
        return { ...unit, parameters, bytes: bind({ portal, statement, formats, parameters, resultFormats }) };
      }
      default:
        return unit;
    }
  });
}

function decoded(value: Buffer): string {
  try {
    return UTF8.decode(value);
  } catch {
    throw unseen("a parameter is not UTF-8");
  }
}

const unseen = (why: string): HoopishError =>
  new HoopishError("response_uninspectable", `it cannot be looked into: ${why}`);
