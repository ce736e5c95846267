import type { Style } from "../terminal/style.ts";

/** What `hoopish witness` tells; with `--json` one object a line. */
export type WitnessEvent =
  | { readonly event: "ready"; readonly url: string; readonly vkey: string; readonly logs: readonly WatchedLog[] }
  | { readonly event: "cosigned"; readonly time: string; readonly origin: string; readonly size: number }
  /** A log that it knows has signed what it does not take. `finding`: kept, since it may show that the log was changed. */
  | {
      readonly event: "refused";
      readonly time: string;
      readonly origin: string;
      readonly status: number;
      readonly reason: string;
      readonly finding: boolean;
    }
  /** Requests that no known log has signed; told now and then, not each. */
  | { readonly event: "ignored"; readonly time: string; readonly count: number; readonly lastStatus: number }
  | { readonly event: "failed"; readonly time: string; readonly message: string }
  | { readonly event: "closed" };

interface WatchedLog {
  readonly origin: string;
  /** Of the newest checkpoint that it has cosigned; 0 before the first. */
  readonly size: number;
}

export function witnessLines(event: WitnessEvent, style: Style): readonly string[] {
  switch (event.event) {
    case "ready":
      return [
        `${style.good("✓")} Witness at ${style.strong(event.url)}, verifier key ${event.vkey}`,
        ...event.logs.map(({ origin, size }) => `  ${origin}: ${size} records seen`),
      ];
    case "cosigned":
      return [`${event.time} ${style.good("cosigned")} ${event.origin} ${event.size}`];
    case "refused": {
      const paint = event.finding ? style.bad : style.odd;
      return [`${event.time} ${paint("refused")} ${event.origin}: ${event.reason} (${event.status})`];
    }
    case "ignored":
      return [style.faint(`${event.time} ignored ${event.count} requests of nobody known (${event.lastStatus})`)];
    case "failed":
      return [`${event.time} ${style.bad("failed")} ${event.message}`];
    case "closed":
      return [];
  }
}
