import { canonicalize, type Json } from "../../canonical.ts";
import type { BundleScope } from "../manifest.ts";

/**
 * The last record of a bundle is this export's own audit.exported: so that nobody can export, or leave payloads out of an
 * export, without the log telling it.
 * @param text that record; undefined when the last one is of another type
 * @returns what differs; undefined when nothing does
 */
export function exportDifference(scope: BundleScope, text: string | undefined): string | undefined {
  if (text === undefined) return "the last record is not this export's own audit.exported";
  const { actor, since, until, format, payloads, start, filters } = JSON.parse(text) as {
    readonly [name: string]: Json | undefined;
  };
  const { iss, name, sub } = (actor ?? {}) as { readonly [member: string]: Json | undefined };
  const recorded = { requester: { iss, name, sub }, since, until, format, payloads, start, filters: filters ?? {} };
  const claimed = {
    requester: scope.requester,
    since: scope.since,
    until: scope.until,
    format: "bundle",
    payloads: scope.payloads,
    start: scope.start,
    filters: scope.filters as Json,
  };
  const different = Object.entries(claimed).find(
    ([member, value]) =>
      canonicalize(value as Json) !== canonicalize((recorded as typeof claimed)[member as "since"] ?? null),
  );
  return different && `its own audit.exported, the last record, and the manifest differ in ${different[0]}`;
}
