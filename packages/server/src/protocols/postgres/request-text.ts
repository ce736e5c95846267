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
  /** What each Bind of the batch binds, in the order of the messages. */
  readonly bound: ReadonlyMap<Unit, readonly string[]>;
  /** A name is used that nobody knows here. */
  readonly unknown?: string;
}

/**
 * What a batch asks for, in words: one object for one statement, a list for several. Whatever is parsed or bound counts, executed
 * or not: what is bound can be fetched later by another message.
 */
export function requestText(units: readonly Unit[], names: Names): RequestText {
  const prepared = new Map<string, readonly string[]>();
  const portals = new Map<string, { texts: readonly string[]; parameters: StatementText["parameters"] }>();
  const bound = new Map<Unit, readonly string[]>();
  const statements: StatementText[] = [];
  /** Texts that may be run later, though nothing of this batch runs them. */
  const waiting = new Set<string>();
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
        waiting.add(unit.sql);
        break;
      case "bind": {
        const texts = textsOf(unit.statement);
        bound.set(unit, texts);
        portals.set(unit.portal, { texts, parameters: parametersOf(unit) });
        for (const sql of texts) waiting.add(sql);
        break;
      }
      case "execute": {
        const portal = portals.get(unit.portal);
        const texts = portal?.texts ?? names.portal(unit.portal);
        if (texts === undefined) unknown = "it names a portal that is not known on this connection";
        const parameters = portal?.parameters;
        for (const sql of texts ?? []) {
          statements.push({ sql, ...(parameters === undefined || parameters.length === 0 ? {} : { parameters }) });
        }
        break;
      }
      case "describe":
        if (unit.what === "S") for (const sql of textsOf(unit.name)) waiting.add(sql);
        break;
      case "close":
        if (unit.what === "S") prepared.delete(unit.name);
        else portals.delete(unit.name);
    }
  }
  const executed = new Set(statements.map(({ sql }) => sql));
  for (const sql of waiting) if (!executed.has(sql)) statements.push({ sql, prepare: true });
  return { statements, bound, ...(unknown === undefined ? {} : { unknown }) };
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
