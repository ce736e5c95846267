import { type MonthPlan, type PayloadTally, purgeReportSchema, retentionPlanSchema } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import type { Style } from "../terminal/style.ts";
import { table } from "../terminal/table.ts";
import { formatBytes } from "../terminal/units.ts";

export interface AuditPurgeOptions {
  readonly dryRun?: boolean;
}

/** Destroys the payloads whose time is over, as the server does every night; or shows which those are. */
export async function auditPurge(context: Context, { dryRun = false }: AuditPurgeOptions): Promise<void> {
  const api = await context.api();
  if (dryRun) {
    const plan = await api.work("GET", "/api/v1/retention", retentionPlanSchema);
    return context.output.show(plan, (safe, style) => planLines(safe.months, style));
  }
  const report = await api.work("POST", "/api/v1/retention/purges", purgeReportSchema);
  context.output.show(report, (safe, style) =>
    table(
      ["CLASS", "MONTH", "DESTROYED", "RECORD", "ROOT"],
      safe.purged.map((month) => [
        month.class,
        monthOf(month),
        `${month.count} payloads`,
        String(month.record),
        month.root,
      ]),
      style,
      "No payload's time is over, but for what holds keep.",
    ),
  );
}

function planLines(months: readonly MonthPlan[], style: Style): readonly string[] {
  return table(
    ["CLASS", "MONTH", "WOULD BE DESTROYED", "HELD", "BY", ""],
    months.map((month) => [
      month.class,
      monthOf(month),
      amount(month.destroyed),
      amount(month.held),
      month.holds.join(" "),
      month.running === 0
        ? ""
        : { text: `${month.running} of its calls still run: it is left alone until then`, paint: style.odd },
    ]),
    style,
    "No payload's time is over.",
  );
}

const monthOf = ({ from }: { readonly from: string }): string => from.slice(0, 7);
const amount = ({ calls, payloads, bytes }: PayloadTally): string =>
  calls === 0 ? "nothing" : `${payloads} payloads of ${calls} calls, ${formatBytes(bytes)}`;
