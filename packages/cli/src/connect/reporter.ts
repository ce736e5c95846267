import type { Context } from "../context.ts";
import { safeDeep } from "../terminal/safe-text.ts";
import { isLive, PLAIN, wantsColour } from "../terminal/style.ts";
import { type ConnectEvent, eventLines } from "./events.ts";

/** Where the events of `connect` go. */
export interface Reporter {
  /** Whether calls are shown at all; where not, the server is not asked to tell of them. */
  readonly calls: boolean;
  tell(event: ConnectEvent): void;
  close(): Promise<void>;
}

/** Lines, JSON lines, or the live view; with a child program, whose stdout it is, only what matters, on stderr. */
export async function createReporter(context: Context, withChild: boolean): Promise<Reporter> {
  const { output, world } = context;
  if (withChild) return { calls: output.json, tell: (event) => tellBeside(context, event), close: async () => {} };
  if (!output.json && !output.quiet && isLive(world.stdout, world.env)) return openView(context);
  return {
    // With --quiet where it is, and what is wrong; not each call.
    calls: !output.quiet,
    tell: (event) => {
      if (output.quiet && !output.json && event.event === "closed") return;
      output.event(event, (safe, style) => eventLines(safe, style, output.quiet));
    },
    close: async () => {},
  };
}

function tellBeside({ output }: Context, event: ConnectEvent): void {
  if (output.json) output.errorEvent(event);
  if (output.json || event.event === "call" || event.event === "closed") return;
  for (const line of eventLines(safeDeep(event), PLAIN, true)) {
    if (event.event === "ready") output.note(line);
    else output.warn(line);
  }
}

async function openView({ world }: Context): Promise<Reporter> {
  // Ink and React are loaded here and nowhere else.
  const { startView } = await import("./view.tsx");
  const { Board } = await import("./board.ts");
  const board = new Board();
  const view = startView(board, world.stdout, wantsColour(world.stdout, world.env), world.now);
  return { calls: true, tell: (event) => board.add(safeDeep(event)), close: () => view.close() };
}
