import type { CallEvent, ErrorCode, SessionId, WaitingEvent } from "@hoopish/protocol";
import type { Style } from "../terminal/style.ts";
import { formatBytes, formatTime } from "../terminal/units.ts";

/** What `connect` tells, in the order in which it happens; with `--json` one object a line. */
export type ConnectEvent =
  | ReadyEvent
  | (CallEvent & { readonly connection: string; readonly session: SessionId })
  | (WaitingEvent & { readonly connection: string; readonly session: SessionId })
  | {
      readonly event: "reconnecting";
      readonly connections: readonly string[];
      readonly attempt: number;
      readonly delayMs: number;
      readonly message: string;
    }
  | {
      readonly event: "revoked";
      readonly connection: string;
      readonly session: SessionId;
      readonly code: ErrorCode;
      readonly reason: string;
    }
  | { readonly event: "sign_in_ending"; readonly expiresAt: string; readonly message: string }
  | { readonly event: "closed"; readonly connection: string; readonly session: SessionId };

/** A session is open and the port answers. Comes again after a broken tunnel, with the new session. */
export interface ReadyEvent {
  readonly event: "ready";
  readonly connection: string;
  readonly session: SessionId;
  readonly url: string;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  readonly protocol: string;
  readonly api: string;
  readonly expiresAt: string;
  /** One line to try it with. */
  readonly try: string;
}

/** Lines for a person, where there is no live view. `brief`: without the ways to use it. */
export function eventLines(event: ConnectEvent, style: Style, brief: boolean): readonly string[] {
  switch (event.event) {
    case "ready":
      return [
        `${style.strong(event.connection)} is at ${style.strong(event.url)} until ${formatTime(event.expiresAt)} (${event.session})`,
        ...(brief ? [] : usageLines(event).map((line) => `  ${line}`)),
      ];
    case "call": {
      const { status, verdict, code } = event;
      const paint = callPaint(event, style);
      const result = [status === 0 ? "-" : String(status), code, verdict === "allow" ? undefined : verdict];
      return [
        `${formatTime(event.time)} ${event.connection} ${paint(result.filter(Boolean).join(" "))} ${event.durationMs} ms ` +
          `${formatBytes(event.bytes.delivered)} ${event.method} ${event.path} (${event.kind})` +
          (event.masked === undefined ? "" : `, ${event.masked} masked`),
      ];
    }
    case "waiting_approval":
      return [
        style.odd(`${event.connection}: a call waits for an approval by ${formatTime(event.expiresAt)} `) +
          `(rule ${event.rule}): ${event.approval}`,
      ];
    case "reconnecting":
      return [
        style.odd(`${event.message}${event.delayMs === 0 ? "" : `; again in ${Math.ceil(event.delayMs / 1000)} s`}`),
      ];
    case "revoked":
      return [style.bad(`${event.connection}: the session was ended: ${event.reason}`)];
    case "sign_in_ending":
      return [
        style.odd(`your sign-in cannot be renewed (${event.message}); sessions end ${formatTime(event.expiresAt)}`),
      ];
    case "closed":
      return [style.faint(`${event.connection} is closed`)];
  }
}

/** How to use a connection: variables to set, and one line to try it with. */
export function usageLines({ env, try: tryIt }: ReadyEvent): readonly string[] {
  return [...Object.entries(env).map(([name, value]) => `export ${name}=${value}`), tryIt];
}

export function callPaint(
  { verdict, status }: Pick<CallEvent, "verdict" | "status">,
  style: Style,
): (text: string) => string {
  if (verdict === "block" || status >= 500) return style.bad;
  if (verdict === "hold" || status >= 400) return style.odd;
  return style.good;
}
