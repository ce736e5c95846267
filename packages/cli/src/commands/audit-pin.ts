import type { Context } from "../context.ts";
import { observeCheckpoint, pinFileOf } from "../evidence/observe.ts";
import { openKey, openSeen } from "../evidence/pin.ts";
import { details } from "../terminal/table.ts";
import { formatTime } from "../terminal/units.ts";

export interface AuditPinOptions {
  /** The log's vkey, from somewhere else than the server. */
  readonly key?: string;
  readonly forget?: boolean;
}

const TRUST_WORDS = {
  first_use: "the server's own word, when it was first asked",
  given: "given by you",
} as const;

/** Checks the server's log against the checkpoint that this machine has seen last, and shows it. */
export async function auditPin(context: Context, options: AuditPinOptions): Promise<void> {
  const server = await context.server();
  if (options.forget) {
    const forgotten = await pinFileOf(context, server).forget();
    context.output.show({ server, forgotten }, (safe) => [
      safe.forgotten ? `The log of ${safe.server} is forgotten.` : `No log of ${safe.server} was pinned.`,
    ]);
    return;
  }
  const pin = await observeCheckpoint(context, await context.api(), options);
  if (pin === undefined) {
    context.output.show({ server, pinned: false }, (safe) => [`${safe.server} has no log that can be pinned.`]);
    return;
  }
  const { origin, size, root } = openSeen(pin.note, openKey(pin.vkey));
  const { vkey, trust, seenAt, note } = pin;
  const shown = { server, pinned: true, origin, size, root: root.toString("base64"), vkey, trust, seenAt, note };
  context.output.show(shown, (safe, style) =>
    details(
      [
        ["server", safe.server],
        ["log", style.strong(safe.origin)],
        ["records", String(safe.size)],
        ["root", safe.root],
        ["key", safe.vkey],
        ["trusted", TRUST_WORDS[trust]],
        ["seen", formatTime(safe.seenAt)],
      ],
      style,
    ),
  );
}
