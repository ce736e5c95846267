/**
 * A part of JSONPath (RFC 9535): `$.a.b`, `$['a']`, `$.a[0]`, `$.a[*]`, `$.a.*`, `$..a`. It names values wherever they are, and all
 * that is in them.
 */
export type FieldPath = readonly Step[];

export type Step =
  | { readonly kind: "member"; readonly name: string }
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "any" }
  /** Any number of steps, none too. */
  | { readonly kind: "deep" };

const MAX_STEPS = 32;

/** @returns what is wrong with it, in words, for text that is no such path */
export function parseFieldPath(text: string): FieldPath | string {
  if (!text.startsWith("$")) return 'it begins with "$", as $.applicant.name does';
  const steps: Step[] = [];
  let rest = text.slice(1);
  while (rest !== "") {
    if (steps.length >= MAX_STEPS) return `it has more than ${MAX_STEPS} steps`;
    if (rest.startsWith("..")) {
      steps.push({ kind: "deep" });
      rest = rest.startsWith("..[") ? rest.slice(2) : rest.slice(1);
      if (rest === ".") return 'a name, "*" or "[" follows ".."';
    }
    const name = /^\.([\p{L}_][\p{L}\p{N}_-]*)/u.exec(rest);
    const quoted = /^\[(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]/.exec(rest);
    const index = /^\[(\d{1,9})\]/.exec(rest);
    const any = /^(?:\.\*|\[\*\])/.exec(rest);
    const taken = name ?? quoted ?? index ?? any;
    if (taken === null) return problemOf(rest);
    if (name !== null) steps.push({ kind: "member", name: name[1] as string });
    else if (quoted !== null) {
      steps.push({ kind: "member", name: (quoted[1] ?? quoted[2] ?? "").replace(/\\(.)/g, "$1") });
    } else if (index !== null) steps.push({ kind: "index", index: Number(index[1]) });
    else steps.push({ kind: "any" });
    rest = rest.slice(taken[0].length);
  }
  if (steps.length === 0) return "it names the whole document: name a member, as $.applicant.name does";
  return steps.at(-1)?.kind === "deep" ? 'a name, "*" or "[" follows ".."' : steps;
}

function problemOf(rest: string): string {
  if (/^\[\?/.test(rest)) return `filters are not supported (${rest.slice(0, 20)})`;
  if (/^\[-?\d*:/.test(rest)) return `slices are not supported (${rest.slice(0, 20)})`;
  if (/^\[[^\]]*,/.test(rest)) return "several names in one bracket are not supported: write a path for each";
  return `"${rest.slice(0, 20)}" is no step: write .name, ['name'], [0], [*] or ..name`;
}

/** Whether a place, or one that holds it, is named. @param at members' names and elements' indexes from the root */
export function isNamed(path: FieldPath, at: readonly (string | number)[]): boolean {
  return reaches(path, 0, at, 0);
}

function reaches(path: FieldPath, step: number, at: readonly (string | number)[], from: number): boolean {
  const next = path[step];
  // All steps are done: this is it, or is in it.
  if (next === undefined) return true;
  if (next.kind === "deep") {
    for (let skip = from; skip <= at.length; skip++) if (reaches(path, step + 1, at, skip)) return true;
    return false;
  }
  const here = at[from];
  if (here === undefined) return false;
  const fits =
    next.kind === "any" ||
    (next.kind === "index" ? here === next.index : typeof here === "string" && here === next.name);
  return fits && reaches(path, step + 1, at, from + 1);
}
