import { as, isNode, list, type Node, names, textOf, visit } from "./parse-tree.ts";

type Constant = string | number | boolean | null;

/** Casts to these leave a whole number or a text what it is. */
const NUMBERS: ReadonlySet<string> = new Set(["int2", "int4", "int8", "numeric"]);
const TEXTS: ReadonlySet<string> = new Set(["text", "varchar"]);

/**
 * The value of a literal, through casts that do not change it; undefined: it is none. `'roles'::varchar(4)` is `role`, and
 * `1::bit(32)::bit(40)::int8` is 256: those are nobody's constants here.
 */
export function constantOf(value: unknown): Constant | undefined {
  const cast = as(value, "TypeCast");
  if (cast !== undefined) {
    const inner = constantOf(cast.arg);
    const type = plainType(cast.typeName);
    if (inner === null || type === undefined) return type === undefined ? undefined : inner;
    if (type === "bool")
      return typeof inner === "string" ? truthOf(inner) : inner === undefined ? inner : Boolean(inner);
    if (TEXTS.has(type) && typeof inner === "string") return inner;
    return NUMBERS.has(type) ? numberOf(inner) : undefined;
  }
  const literal = as(value, "A_Const");
  if (literal === undefined) return undefined;
  if (literal.isnull === true) return null;
  if (isNode(literal.ival)) return Number(literal.ival.ival ?? 0);
  if (isNode(literal.fval)) return Number(literal.fval.fval ?? 0);
  if (isNode(literal.boolval)) return literal.boolval.boolval === true;
  if (isNode(literal.sval)) return textOf(literal.sval.sval);
  return undefined;
}

/** The name of a type of PostgreSQL's own that is given no length or scale, and is no array. */
function plainType(type: unknown): string | undefined {
  if (!isNode(type) || list(type.typmods).length > 0 || list(type.arrayBounds).length > 0) return undefined;
  const parts = names(type.names);
  return parts.length === 1 || parts[0] === "pg_catalog" ? parts.at(-1) : undefined;
}

const numberOf = (value: Constant | undefined): number | undefined =>
  typeof value === "number"
    ? value
    : typeof value === "string" && /^\s*-?\d+(?:\.\d+)?\s*$/.test(value)
      ? Number(value)
      : undefined;

const truthOf = (text: string): boolean | undefined =>
  /^\s*(t|true|y|yes|on|1)\s*$/i.test(text) ? true : /^\s*(f|false|n|no|off|0)\s*$/i.test(text) ? false : undefined;

/**
 * Whether a WHERE keeps no row out, or looks at none. What cannot be told counts as one that does: `id > -1` is for the
 * database to know. @param beside the tables of USING or FROM: their columns are not those of the rows that go
 */
export function keepsNothingOut(where: unknown, beside?: unknown): boolean {
  if (where === undefined) return true;
  if (as(where, "CurrentOfExpr") !== undefined) return false;
  return truth(where) === true || !looksAtRows(where, namesOf(beside));
}

/**
 * Without a column it is true for all rows or for none. Columns that are said to be of a sub-select's own tables are none of the
 * rows', nor is `*`, and what an EXISTS selects.
 */
function looksAtRows(value: unknown, others: ReadonlySet<string>): boolean {
  if (Array.isArray(value)) return value.some((item) => looksAtRows(item, others));
  if (!isNode(value)) return false;
  if (value.CurrentOfExpr !== undefined) return true;
  const column = as(value, "ColumnRef");
  if (column !== undefined) {
    const parts = list(column.fields);
    if (parts.length === 1) return as(parts[0], "A_Star") === undefined;
    return !others.has(names(parts.slice(-2, -1))[0] ?? "");
  }
  const link = as(value, "SubLink");
  const selected = as(link?.subselect, "SelectStmt");
  if (link?.subLinkType === "EXISTS_SUBLINK" && selected !== undefined && !calls(selected.targetList)) {
    return looksAtRows({ ...selected, targetList: undefined }, others);
  }
  const own = isNode(value.SelectStmt) ? value.SelectStmt : value;
  const all = own.fromClause === undefined ? others : new Set([...others, ...namesOf(own.fromClause)]);
  return Object.values(value).some((inner) => looksAtRows(inner, all));
}

/** A function may give no rows, or several. */
function calls(value: unknown): boolean {
  let found = false;
  visit(value, (type) => {
    if (type === "FuncCall") found = true;
  });
  return found;
}

/** By which names columns of a FROM's tables are called. */
function namesOf(from: unknown): ReadonlySet<string> {
  const found = new Set<string>();
  visit(from, (_type, { alias, relname }) => {
    if (isNode(alias)) found.add(textOf(alias.aliasname));
    else if (typeof relname === "string") found.add(relname);
  });
  return found;
}

/** true, false, or undefined: it depends. */
function truth(value: unknown): boolean | undefined {
  const constant = constantOf(value);
  if (typeof constant === "boolean") return constant;
  if (typeof constant === "string") return truthOf(constant);
  const bool = as(value, "BoolExpr");
  if (bool !== undefined) return truthOfBool(bool);
  const expression = as(value, "A_Expr");
  if (expression !== undefined) return truthOfExpression(expression);
  const test = as(value, "BooleanTest");
  if (test !== undefined) {
    const of = truth(test.arg);
    if (of === undefined) return undefined;
    return test.booltesttype === "IS_TRUE" || test.booltesttype === "IS_NOT_FALSE" ? of : !of;
  }
  const nullTest = as(value, "NullTest");
  if (nullTest?.nulltesttype === "IS_NOT_NULL" && isOfSystem(nullTest.arg)) return true;
  const tested = nullTest === undefined ? undefined : constantOf(nullTest.arg);
  if (nullTest !== undefined && tested !== undefined) {
    return (nullTest.nulltesttype === "IS_NULL") === (tested === null);
  }
  return undefined;
}

/** Every row has these. */
const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"]);
const isOfSystem = (value: unknown): boolean => SYSTEM_COLUMNS.has(names(as(value, "ColumnRef")?.fields).at(-1) ?? "");

function truthOfBool({ boolop, args }: Node): boolean | undefined {
  const parts = list(args).map(truth);
  switch (boolop) {
    case "NOT_EXPR":
      return parts[0] === undefined ? undefined : !parts[0];
    case "OR_EXPR":
      return parts.includes(true) || isComplement(list(args))
        ? true
        : parts.every((part) => part === false)
          ? false
          : undefined;
    default:
      return parts.includes(false) ? false : parts.every((part) => part === true) ? true : undefined;
  }
}

const NEGATED: ReadonlyMap<string, string> = new Map([
  ...(
    [
      ["=", "<>"],
      ["<", ">="],
      [">", "<="],
    ] as const
  ).flatMap(
    ([one, other]) =>
      [
        [one, other],
        [other, one],
      ] as const,
  ),
]);

/** `a OR NOT a`, `x IS NULL OR x IS NOT NULL`, `x = 1 OR x <> 1`. */
function isComplement(args: readonly unknown[]): boolean {
  const seen = args.map((arg) => JSON.stringify(bare(arg)));
  return args.some((arg) => {
    const negated = as(arg, "BoolExpr");
    if (negated?.boolop === "NOT_EXPR" && seen.includes(JSON.stringify(bare(list(negated.args)[0])))) return true;
    const expression = as(arg, "A_Expr");
    const other = expression === undefined ? undefined : NEGATED.get(names(expression.name).at(-1) ?? "");
    if (other !== undefined && expression?.kind === "AEXPR_OP") {
      const opposite = { A_Expr: { ...expression, name: [{ String: { sval: other } }] } };
      return seen.includes(JSON.stringify(bare(opposite)));
    }
    const test = as(arg, "NullTest");
    if (test === undefined) return false;
    const nulltesttype = test.nulltesttype === "IS_NULL" ? "IS_NOT_NULL" : "IS_NULL";
    return seen.includes(JSON.stringify(bare({ NullTest: { ...test, nulltesttype } })));
  });
}

/** Patterns of `~` that are found in every text. */
const ALL_TEXTS: ReadonlySet<unknown> = new Set(["", "^", "$", ".*", "^.*", ".*$", "^.*$"]);

function truthOfExpression({ kind, name, lexpr, rexpr }: Node): boolean | undefined {
  const operator = names(name).at(-1) ?? "";
  switch (kind) {
    case "AEXPR_LIKE":
    case "AEXPR_ILIKE":
      return operator.startsWith("~~") && /^%+$/.test(textOf(constantOf(rexpr))) ? true : undefined;
    case "AEXPR_NOT_DISTINCT":
      return isSame(lexpr, rexpr) ? true : undefined;
    case "AEXPR_DISTINCT":
      return isSame(lexpr, rexpr) ? false : undefined;
    case "AEXPR_IN":
    case "AEXPR_OP_ANY":
      return operator === "=" && elementsOf(rexpr).some((element) => isSame(lexpr, element)) ? true : undefined;
    case "AEXPR_BETWEEN":
    case "AEXPR_BETWEEN_SYM":
      return elementsOf(rexpr).every((element) => isSame(lexpr, element)) ? true : undefined;
    case "AEXPR_OP":
      return truthOfComparison(operator, lexpr, rexpr);
    default:
      return undefined;
  }
}

function truthOfComparison(operator: string, lexpr: unknown, rexpr: unknown): boolean | undefined {
  const [left, right] = alike(constantOf(lexpr), constantOf(rexpr));
  if ((operator === "~" || operator === "~*") && ALL_TEXTS.has(right)) return true;
  if (left === undefined || right === undefined) {
    // Of a column with itself: true, or false, for every row that has a value there.
    if (!isSame(lexpr, rexpr)) return undefined;
    return /^(?:=|>=|<=)$/.test(operator) ? true : /^(?:<>|<|>)$/.test(operator) ? false : undefined;
  }
  if (left === null || right === null) return undefined;
  switch (operator) {
    case "=":
      return left === right;
    case "<>":
    case "!=":
      return left !== right;
    case "<":
      return left < right;
    case ">":
      return left > right;
    case "<=":
      return left <= right;
    case ">=":
      return left >= right;
    default:
      return undefined;
  }
}

/** Of a list in brackets, or an array. */
function elementsOf(value: unknown): readonly unknown[] {
  const array = as(value, "A_ArrayExpr")?.elements ?? as(value, "List")?.items ?? value;
  return Array.isArray(array) ? array : [array];
}

/** Whether two expressions are of one value in every row: the same but for casts, and for what picks one of equals. */
function isSame(one: unknown, two: unknown): boolean {
  const left = essence(one);
  const right = essence(two);
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, i) => isSame(item, right[i]));
  }
  if (!isNode(left) || !isNode(right)) return left === right;
  const column = as(left, "ColumnRef");
  const other = as(right, "ColumnRef");
  if (column !== undefined && other !== undefined) return isSameColumn(names(column.fields), names(other.fields));
  const members = new Set([...Object.keys(left), ...Object.keys(right)].filter((name) => !PLACES.test(name)));
  return [...members].every((name) => isSame(left[name], right[name]));
}

/** `a`, `t.a`, `public.t.a`. */
function isSameColumn(one: readonly string[], two: readonly string[]): boolean {
  const [shorter, longer] = one.length < two.length ? [one, two] : [two, one];
  return (
    shorter.length > 0 && shorter.every((part, i) => part !== "" && part === longer[longer.length - shorter.length + i])
  );
}

function essence(value: unknown): unknown {
  const cast = as(value, "TypeCast");
  if (cast !== undefined) return essence(cast.arg);
  const picks = as(value, "CoalesceExpr") ?? as(value, "MinMaxExpr");
  const of = picks === undefined ? as(value, "A_ArrayExpr")?.elements : picks.args;
  const [first, ...rest] = list(of);
  return first !== undefined && rest.every((item) => isSame(first, item)) ? essence(first) : value;
}

/** Where things stand in the text. */
const PLACES = /^(?:location|rexpr_list_(?:start|end)|list_(?:start|end))$/;

/** A text beside a number is read as one: `'5' = 5`. */
function alike(left: Constant | undefined, right: Constant | undefined): readonly (Constant | undefined)[] {
  const either = [left, right];
  return either.some((side) => typeof side === "number") && either.some((side) => typeof side === "string")
    ? either.map(numberOf)
    : either;
}

/** A tree without the places where things stand in the text. */
function bare(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(bare);
  if (!isNode(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !PLACES.test(name))
      .map(([name, inner]) => [name, bare(inner)]),
  );
}
