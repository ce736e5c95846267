import type { Context } from "../context.ts";
import type { Check } from "./check.ts";
import { runChecks } from "./doctor-checks.ts";

/** Looks at everything that hoopish needs, each with a remedy. @returns 1 when something is wrong */
export async function doctor(context: Context): Promise<number> {
  const checks: Check[] = [];
  for await (const check of runChecks(context)) checks.push(check);
  const ok = checks.every((check) => check.ok);
  context.output.show({ ok, checks }, (safe, style) =>
    safe.checks.flatMap((check) => [
      `${check.ok ? style.good("✓") : style.bad("✗")} ${style.strong(check.name)}: ${check.detail}`,
      ...(check.remedy === undefined ? [] : [`    try: ${check.remedy}`]),
    ]),
  );
  return ok ? 0 : 1;
}
