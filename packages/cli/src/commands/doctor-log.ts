import { type AnchorView, type LogStatus, logStatusSchema } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { observeCheckpoint } from "../evidence/observe.ts";
import { openKey, openSeen } from "../evidence/pin.ts";
import type { ApiClient } from "../http/api-client.ts";
import { formatDistance } from "../terminal/units.ts";
import type { Check } from "./check.ts";

/**
 * Whether the log has only grown since this machine saw it, and, for those who are told, whether its checkpoints reach
 * the anchors. @throws HoopishError log_inconsistent; what the network throws
 */
export async function logChecks(context: Context, api: ApiClient): Promise<readonly Check[]> {
  const pin = await observeCheckpoint(context, api);
  if (pin === undefined) return [{ name: "log", ok: true, detail: "this server has no log that can be watched" }];
  const status = await api.get("/api/v1/log/status", logStatusSchema);
  const nowMs = context.world.now();
  const { origin, size } = openSeen(pin.note, openKey(pin.vkey));
  const key = pin.trust === "given" ? "with the key that you gave" : "with the key that the server named at first";
  const signed = `last signed ${formatDistance(status.signedAt, nowMs)}`;
  const detail = `${origin} has only grown, to ${size} records, signed ${key}; ${signed}`;
  return [{ name: "log", ok: true, detail }, ...anchorChecks(status, nowMs)];
}

function anchorChecks({ anchors }: LogStatus, nowMs: number): readonly Check[] {
  if (anchors === undefined) return [];
  const name = "anchors";
  const failing = anchors.filter((anchor) => anchor.failing !== undefined);
  if (failing.length > 0) {
    const detail = failing.map((anchor) => failure(anchor, nowMs)).join("; ");
    const remedy =
      "look at each place, and at the server's log; until they take checkpoints again, nobody there would see the log " +
      "go back (docs/anchors.md)";
    return [{ name, ok: false, detail, remedy }];
  }
  if (anchors.length > 0) {
    const detail = anchors.map(({ name: place, published }) => `${place} ${reached(published, nowMs)}`).join("; ");
    return [{ name, ok: true, detail }];
  }
  const detail = "none: nobody outside the server keeps the log's checkpoints";
  return [{ name, ok: false, detail, remedy: "name some in the server's evidence.anchors (docs/anchors.md)" }];
}

const failure = ({ name, failing, waiting }: AnchorView, nowMs: number): string =>
  `${name} has failed ${failing?.consecutive ?? 0} times, first ${formatDistance(failing?.since ?? "", nowMs)}` +
  `, ${waiting} waiting: ${failing?.message ?? ""}`;

const reached = (published: AnchorView["published"], nowMs: number): string =>
  published === undefined
    ? "has nothing new to take"
    : `has ${published.size} records, ${formatDistance(published.at, nowMs)}`;
