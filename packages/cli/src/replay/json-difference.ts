/** A member that is not the same: absent on one side, or another value. */
export interface JsonDifference {
  /** JSONPath (RFC 9535): `$.choices[0].message`. */
  readonly path: string;
  readonly was?: unknown;
  readonly now?: unknown;
}

/** Member by member, in the order of the older document; at most `limit`. */
export function jsonDifferences(was: unknown, now: unknown, limit: number): JsonDifference[] {
  const found: JsonDifference[] = [];
  compare("$", was, now, found, limit);
  return found;
}

function compare(path: string, was: unknown, now: unknown, found: JsonDifference[], limit: number): void {
  if (found.length >= limit || was === now) return;
  if (Array.isArray(was) && Array.isArray(now)) {
    for (let i = 0; i < Math.max(was.length, now.length); i += 1) {
      member(`${path}[${i}]`, i < was.length, was[i], i < now.length, now[i], found, limit);
    }
  } else if (isObject(was) && isObject(now)) {
    for (const name of new Set([...Object.keys(was), ...Object.keys(now)])) {
      const [inWas, inNow] = [Object.hasOwn(was, name), Object.hasOwn(now, name)];
      member(path + step(name), inWas, was[name], inNow, now[name], found, limit);
    }
  } else {
    found.push({ path, was, now });
  }
}

function member(
  path: string,
  inWas: boolean,
  was: unknown,
  inNow: boolean,
  now: unknown,
  found: JsonDifference[],
  limit: number,
): void {
  if (inWas && inNow) compare(path, was, now, found, limit);
  else if (found.length < limit) found.push(inWas ? { path, was } : { path, now });
}

const step = (name: string): string => (/^[A-Za-z_]\w*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`);

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
