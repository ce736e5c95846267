import { Box, render, Text } from "ink";
import { type ReactElement, useSyncExternalStore } from "react";
import { formatBytes, formatDistance } from "../terminal/units.ts";
import type { OutputStream } from "../world.ts";
import type { Board, BoardState } from "./board.ts";
import { usageLines } from "./events.ts";

export interface LiveView {
  /** Leaves the last picture on the screen and gives the terminal back. */
  close(): Promise<void>;
}

/**
 * The live view of `connect`. It takes no input: the terminal stays in its normal mode, and Ctrl-C is SIGINT. Everything
 * on the board was neutralised when it was put there.
 */
export function startView(board: Board, stdout: OutputStream, colour: boolean, now: () => number): LiveView {
  const view = render(<ConnectView board={board} colour={colour} now={now} />, {
    stdout: stdout as unknown as NodeJS.WriteStream,
    // Whether this is a terminal was decided by the caller, from the world it was given and not from this process.
    interactive: true,
    exitOnCtrlC: false,
    patchConsole: false,
    maxFps: 10,
  });
  // "ends in …" goes on when nothing happens.
  const clock = setInterval(() => board.flush(), 30_000);
  return {
    close: async () => {
      clearInterval(clock);
      board.flush();
      view.unmount();
      await view.waitUntilExit();
    },
  };
}

interface ViewProps {
  readonly board: Board;
  readonly colour: boolean;
  readonly now: () => number;
}

export function ConnectView({ board, colour, now }: ViewProps): ReactElement {
  const state = useSyncExternalStore(board.subscribe, board.snapshot);
  const paint = (name: string): { color?: string } => (colour ? { color: name } : {});
  return (
    <Box flexDirection="column">
      {state.connections.map((one) => (
        <Connection key={one.connection} one={one} paint={paint} now={now} />
      ))}
      <Calls state={state} paint={paint} />
      {state.waiting.map((one) => (
        <Text key={one.call} {...paint("yellow")}>
          {`waits for an approval (${one.rule}), ends ${formatDistance(one.expiresAt, now())}: ${one.approval}`}
        </Text>
      ))}
      {state.remark === undefined ? null : <Text {...paint("yellow")}>{state.remark}</Text>}
      <Text dimColor={colour}>{totalsLine(state)}</Text>
    </Box>
  );
}

type Paint = (name: string) => { color?: string };
const STATE_COLOURS = { open: "green", reconnecting: "yellow", closed: "red" } as const;

function Connection(props: { one: BoardState["connections"][number]; paint: Paint; now: () => number }): ReactElement {
  const { one, paint, now } = props;
  return (
    <Box flexDirection="column" marginBottom={1}>
      <Text wrap="truncate-end">
        <Text bold>{one.connection}</Text> {one.url} <Text {...paint(STATE_COLOURS[one.state])}>{one.state}</Text>
        {`  ends ${formatDistance(one.expiresAt, now())}  ${one.session}`}
      </Text>
      {usageLines(one).map((line) => (
        <Text key={line} wrap="truncate-end" dimColor>
          {`  ${line}`}
        </Text>
      ))}
    </Box>
  );
}

function Calls({ state, paint }: { state: BoardState; paint: Paint }): ReactElement | null {
  if (state.calls.length === 0) return null;
  return (
    <Box flexDirection="column" marginBottom={1}>
      {state.calls.map((call) => (
        <Text key={call.call} wrap="truncate-end">
          <Text {...paint(colourOf(call))}>{String(call.status || "-").padEnd(4)}</Text>
          {`${String(call.durationMs).padStart(6)} ms  ${formatBytes(call.bytes.delivered).padStart(9)}  `}
          {`${state.connections.length > 1 ? `${call.connection}  ` : ""}${call.method} ${call.path}`}
          {call.verdict === "allow" ? "" : `  ${call.verdict}`}
          {call.code === undefined ? "" : `  ${call.code}`}
        </Text>
      ))}
    </Box>
  );
}

function colourOf({ verdict, status }: BoardState["calls"][number]): string {
  if (verdict === "block" || status >= 500) return "red";
  return verdict === "hold" || status >= 400 ? "yellow" : "green";
}

function totalsLine({ totals }: BoardState): string {
  const { calls, refused, failed, bytes, masked } = totals;
  const values = masked === 0 ? "" : `, ${masked} values masked`;
  return `${calls} calls, ${refused} refused, ${failed} failed, ${formatBytes(bytes)} delivered${values}. Ctrl-C closes.`;
}
