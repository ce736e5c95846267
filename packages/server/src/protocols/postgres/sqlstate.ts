/** The HTTP status that says what an SQLSTATE's class says (PostgreSQL, appendix A): records tell all protocols in the same words. */
export function httpStatusOf(sqlstate: string): number {
  if (sqlstate === "42501") return 403;
  if (sqlstate === "57014") return 499;
  const known: Readonly<Record<string, number>> = {
    "08": 502,
    "28": 401,
    "40": 409,
    "53": 503,
    "57": 503,
    "58": 500,
    XX: 500,
  };
  return known[sqlstate.slice(0, 2)] ?? 400;
}
