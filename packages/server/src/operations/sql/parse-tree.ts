/** PostgreSQL's parse tree as libpg-query gives it: an object with one member, whose name is the node's type. Defaults are left out. */
export type Node = { readonly [member: string]: unknown };

export const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The members of a node of this type, where it is one. */
export function as(value: unknown, type: string): Node | undefined {
  const members = isNode(value) ? value[type] : undefined;
  return isNode(members) ? members : undefined;
}

export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
export const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** Deeper than people write, and than what runs in a call's stack. */
const MAX_DEPTH = 2_000;

/** Visits every node with its type, the outer ones first. Plain structs that stand without their type are passed through. */
export function visit(value: unknown, see: (type: string, members: Node) => void, depth = 0): void {
  if (depth > MAX_DEPTH) throw new RangeError("it is nested too deeply");
  if (Array.isArray(value)) {
    for (const item of value) visit(item, see, depth + 1);
    return;
  }
  if (!isNode(value)) return;
  for (const [member, inner] of Object.entries(value)) {
    if (/^[A-Z]/.test(member) && isNode(inner)) see(member, inner);
    visit(inner, see, depth + 1);
  }
}

/** The text of each String node. */
export const names = (value: unknown): string[] => list(value).map((item) => textOf(as(item, "String")?.sval));
