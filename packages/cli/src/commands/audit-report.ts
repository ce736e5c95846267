import { accessReportSchema } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { observeCheckpoint } from "../evidence/observe.ts";
import { safeLine } from "../terminal/safe-text.ts";
import { table } from "../terminal/table.ts";
import { formatTime } from "../terminal/units.ts";
import { apiTime } from "./audit-list.ts";

export interface AccessReportOptions {
  readonly since: string;
  readonly until?: string;
  readonly format: "table" | "csv";
}

/** Who could use what, who did, what people decided, and who was locked out. */
export async function accessReport(context: Context, { since, until, format }: AccessReportOptions): Promise<void> {
  const end = apiTime(until, context);
  const range = { since: apiTime(since, context) ?? since, ...(end === undefined ? {} : { until: end }) };
  const api = await context.api();
  await observeCheckpoint(context, api);
  if (format === "csv" && !context.output.json) {
    const query = new URLSearchParams({ ...range, format: "csv" });
    const text = await api.text(`/api/v1/audit/report/access?${query}`);
    for (const line of text.trimEnd().split("\r\n")) context.output.raw(`${safeLine(line)}\r\n`);
    return;
  }
  const report = await api.get("/api/v1/audit/report/access", accessReportSchema, range);
  context.output.show(report, (safe, style) =>
    table(
      ["WHAT", "USER", "CONNECTION", "RULE", "COUNT", "LAST", "STATE", "BY", "DETAIL"],
      safe.rows.map((row) => [
        { text: row.what, paint: style.strong },
        `${row.user ?? ""}${row.account === "service" ? " (service)" : ""}`,
        row.connection ?? "",
        row.rule ?? "",
        row.count === undefined ? "" : String(row.count),
        formatTime(row.last),
        row.state ?? "",
        row.by ?? "",
        row.reason ?? row.detail ?? "",
      ]),
      style,
      "Nothing in this time.",
    ),
  );
}
