import { foldName, HoopishError, isLockId, type LockView, lockListSchema, lockViewSchema } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { table } from "../terminal/table.ts";
import { formatTime } from "../terminal/units.ts";

export interface LockOptions {
  readonly reason: string;
  readonly agent?: boolean;
  readonly connection?: boolean;
}

/** Shuts a user, an agent or a connection out, at once and everywhere. */
export async function lock(context: Context, name: string, options: LockOptions): Promise<void> {
  const kind = options.agent === true ? "agent" : options.connection === true ? "connection" : "user";
  if (options.agent === true && options.connection === true) {
    throw new HoopishError("usage", "--agent and --connection exclude each other", { hint: "hoopish lock --help" });
  }
  const body = { kind, name, reason: options.reason };
  const view = await (await context.api()).post("/api/v1/locks", body, lockViewSchema);
  context.output.show(view, (safe, style) => [
    `${style.good("✓")} ${safe.kind} ${safe.name} is locked (${safe.id}); ${endedText(safe)}`,
  ]);
}

function endedText({ kind, ended = 0 }: LockView): string {
  const what = kind === "agent" ? "tunnel" : "session";
  return `${ended} ${what}${ended === 1 ? "" : "s"} ended`;
}

export async function unlock(context: Context, which: string, reason: string): Promise<void> {
  const api = await context.api();
  let id = which;
  if (!isLockId(which)) {
    const { locks } = await api.get("/api/v1/locks", lockListSchema);
    const found = locks.filter(({ kind, name, lifted }) => lifted === undefined && isNamed(kind, name, which));
    if (found.length !== 1) {
      const none = found.length === 0;
      const message = none ? `${which} is not locked` : `several locks are of the name ${which}: name one by its id`;
      throw new HoopishError(none ? "not_found" : "conflict", message, { hint: "hoopish locks  lists them" });
    }
    id = (found[0] as LockView).id;
  }
  const view = await api.delete(`/api/v1/locks/${id}`, lockViewSchema, { reason });
  context.output.show(view, (safe, style) => [`${style.good("✓")} ${safe.kind} ${safe.name} is free again`]);
}

/** Of users as the server takes them for the same. */
const isNamed = (kind: LockView["kind"], name: string, asked: string): boolean =>
  kind === "user" ? foldName(name) === foldName(asked) : name === asked;

export async function listLocks(context: Context, all: boolean): Promise<void> {
  const list = await (await context.api()).get("/api/v1/locks", lockListSchema);
  const locks = list.locks.filter(({ lifted }) => all || lifted === undefined);
  context.output.show({ locks }, (safe, style) =>
    table(
      ["LOCK", "KIND", "NAME", "SINCE", "BY", "REASON", "LIFTED"],
      safe.locks.map((one) => [
        one.id,
        one.kind,
        { text: one.name, paint: style.strong },
        formatTime(one.at),
        one.by,
        one.reason,
        one.lifted === undefined ? "" : `${formatTime(one.lifted.at)} by ${one.lifted.by}`,
      ]),
      style,
      "Nothing is locked.",
    ),
  );
}
