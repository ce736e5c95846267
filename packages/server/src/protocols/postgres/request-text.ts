import type { Unit } from "./batch.ts";
import type { Names } from "./names.ts";

/** A statement as it is recorded, shown to approvers and bound to their approval: without names that drivers make up. */
export interface StatementText {
  /** Texts that a name may stand for, where it is not certain which, are all of them. */
  readonly sql: string;
  readonly parameters?: readonly (string | null | { readonly base64: string })[];
  /** It is only prepared or described. */
  readonly prepare?: true;
}

export interface RequestText {
  readonly statements: readonly StatementText[];
  /** A name is used that nobody knows here. */
  readonly unknown?: string;
}

/** What a batch asks for, in words: one object for one statement, a list for several. */
export function requestText(units: readonly Unit[], names: Names): RequestText {
  const prepared = new Map<string, readonly string[]>();
  const portals = new Map<string, { texts: readonly string[]; parameters: StatementText["parameters"] }>();
  const statements: StatementText[] = [];
  const used = new Set<string>();
  let unknown: string | undefined;
  const textsOf = (name: string): readonly string[] => {
    const texts = prepared.get(name) ?? names.statement(name);
    if (texts === undefined) unknown = "it names a prepared statement that is not known on this connection";
    return texts ?? [];
  };
  for (const unit of units) {
    switch (unit.kind) {
      case "query":
        statements.push({ sql: unit.sql });
        break;
      case "parse":
        prepared.set(unit.name, [unit.sql]);
        break;
      case "bind": {
        used.add(unit.statement);
        portals.set(unit.portal, { texts: textsOf(unit.statement), parameters: parametersOf(unit) });
        break;
      }
      case "execute": {
        const texts = portals.get(unit.portal)?.texts ?? names.portal(unit.portal);
        if (texts === undefined) unknown = "it names a portal that is not known on this connection";
        const parameters = portals.get(unit.portal)?.parameters;
        for (const sql of texts ?? []) {
          statements.push({ sql, ...(parameters === undefined || parameters.length === 0 ? {} : { parameters }) });
        }
        break;
      }
      case "describe":
        if (unit.what === "S" && !prepared.has(unit.name)) {
          for (const sql of textsOf(unit.name)) statements.push({ sql, prepare: true });
        }
        break;
      case "close":
        break;
    }
  }
  for (const [name, texts] of prepared) {
    if (!used.has(name)) for (const sql of texts) statements.push({ sql, prepare: true });
  }
  return { statements, ...(unknown === undefined ? {} : { unknown }) };
}

/** Texts of a bind's statement after this batch's own Parse messages. */
export function boundTexts(units: readonly Unit[], statement: string, names: Names): readonly string[] {
  for (const unit of units) if (unit.kind === "parse" && unit.name === statement) return [unit.sql];
  return names.statement(statement) ?? [];
}

function parametersOf({
  formats,
  parameters,
}: Extract<Unit, { kind: "bind" }>): NonNullable<StatementText["parameters"]> {
  return parameters.map((value, i) => {
    if (value === null) return null;
    const format = formats.length === 1 ? formats[0] : (formats[i] ?? 0);
    return format === 0 ? value.toString("utf8").toWellFormed() : { base64: value.toString("base64") };
  });
}
