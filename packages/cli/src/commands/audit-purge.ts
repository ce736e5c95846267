import {
  HoopishError,
  isErrorCode,
  type MonthPlan,
  type PayloadTally,
  type PurgedMonth,
  type PurgeLine,
  purgeLineSchema,
  retentionPlanSchema,
} from "@hoopish/protocol";
import type { Context } from "../context.ts";
import type { ApiClient } from "../http/api-client.ts";
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
    const plan = await api.get("/api/v1/retention", retentionPlanSchema);
    return context.output.show(plan, (safe, style) => planLines(safe.months, style));
  }
  const purged = await purge(context, api);
  context.output.show({ purged }, (safe, style) =>
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

async function purge(context: Context, api: ApiClient): Promise<readonly PurgedMonth[]> {
  const { body } = await api.postStream("/api/v1/retention/purges");
  let last: PurgeLine | undefined;
  try {
    let text = "";
    for await (const chunk of body as AsyncIterable<Buffer>) text += chunk.toString();
    // Signs of life, one every few seconds, and the end.
    last = purgeLineSchema.parse(JSON.parse(text.trim().split("\n").at(-1) ?? ""));
  } catch (cause) {
    context.signal.throwIfAborted();
    throw unknownEnd(cause);
  }
  if ("purged" in last) return last.purged;
  if (!("error" in last)) throw unknownEnd(undefined);
  const { code, message, hint } = last.error;
  throw new HoopishError(isErrorCode(code) ? code : "internal", message, hint === undefined ? {} : { hint });
}

const unknownEnd = (cause: unknown): HoopishError =>
  new HoopishError("unreachable", "the server broke off; the purge may go on without a witness", {
    hint: "`hoopish audit purge --dry-run` shows what is left to do",
    cause,
  });

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
