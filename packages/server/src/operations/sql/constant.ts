import { as, isNode, list, type Node, names, textOf, visit } from "./parse-tree.ts";

type Constant = string | number | boolean | null;

/** The value of a literal, through casts; undefined: it is none. */
export function constantOf(value: unknown): Constant | undefined {
  const cast = as(value, "TypeCast");
  if (cast !== undefined) {
    const inner = constantOf(cast.arg);
    const type = names((cast.typeName as Node | undefined)?.names).at(-1);
    return type === "bool" && typeof inner === "string" ? truthOf(inner) : inner;
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

const truthOf = (text: string): boolean | undefined =>
  /^\s*(t|true|y|yes|on|1)\s*$/i.test(text) ? true : /^\s*(f|false|n|no|off|0)\s*$/i.test(text) ? false : undefined;

/**
 * Whether a WHERE keeps no row out, or looks at none. What cannot be told counts as one that does: `id > -1` is for the
 * database to know.
 */
export function keepsNothingOut(where: unknown): boolean {
  if (where === undefined) return true;
  if (as(where, "CurrentOfExpr") !== undefined) return false;
  return truth(where) === true || !looksAtRows(where);
}

/** Without a column it is true for all rows or for none. */
function looksAtRows(where: unknown): boolean {
  let looks = false;
  visit(where, (type) => {
    if (type === "ColumnRef" || type === "CurrentOfExpr") looks = true;
  });
  return looks;
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
  const tested = nullTest === undefined ? undefined : constantOf(nullTest.arg);
  if (nullTest !== undefined && tested !== undefined) {
    return (nullTest.nulltesttype === "IS_NULL") === (tested === null);
  }
  return undefined;
}

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

/** `a OR NOT a`, `x IS NULL OR x IS NOT NULL`. */
function isComplement(args: readonly unknown[]): boolean {
  const seen = args.map((arg) => JSON.stringify(bare(arg)));
  return args.some((arg) => {
    const negated = as(arg, "BoolExpr");
    if (negated?.boolop === "NOT_EXPR" && seen.includes(JSON.stringify(bare(list(negated.args)[0])))) return true;
    const test = as(arg, "NullTest");
    if (test === undefined) return false;
    const other = test.nulltesttype === "IS_NULL" ? "IS_NOT_NULL" : "IS_NULL";
    return seen.includes(JSON.stringify(bare({ NullTest: { ...test, nulltesttype: other } })));
  });
}

function truthOfExpression({ kind, name, lexpr, rexpr }: Node): boolean | undefined {
  const operator = names(name).at(-1) ?? "";
  if ((kind === "AEXPR_LIKE" || kind === "AEXPR_ILIKE") && operator.startsWith("~~")) {
    return /^%+$/.test(textOf(constantOf(rexpr))) ? true : undefined;
  }
  if (kind !== "AEXPR_OP") return undefined;
  const left = constantOf(lexpr);
  const right = constantOf(rexpr);
  if (left === undefined || right === undefined) {
    // Of a column with itself: true for every row that has a value there.
    const same = JSON.stringify(bare(lexpr)) === JSON.stringify(bare(rexpr));
    return same && (operator === "=" || operator === ">=" || operator === "<=") ? true : undefined;
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

/** A tree without the places where things stand in the text. */
function bare(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(bare);
  if (!isNode(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !/^(?:location|rexpr_list_(?:start|end))$/.test(name))
      .map(([name, inner]) => [name, bare(inner)]),
  );
}
