import type { ApprovalView } from "@hoopish/protocol";
import { Box, render, Text } from "ink";
import { type ReactElement, useSyncExternalStore } from "react";
import { PLAIN } from "../terminal/style.ts";
import { formatDistance } from "../terminal/units.ts";
import type { OutputStream } from "../world.ts";
import { approvalLines, operationText } from "./lines.ts";
import type { InboxState } from "./state.ts";

/** Where the view finds what to draw. */
export interface InboxStore {
  snapshot(): InboxState;
  subscribe(listener: () => void): () => void;
}

/** Draws the inbox. It takes no input: keys are read by inbox.ts. Everything in the state was neutralised. */
export function startInboxView(
  store: InboxStore,
  stdout: OutputStream,
  colour: boolean,
  now: () => number,
): { close(): Promise<void> } {
  const view = render(<InboxView store={store} colour={colour} now={now} />, {
    stdout: stdout as unknown as NodeJS.WriteStream,
    interactive: true,
    exitOnCtrlC: false,
    patchConsole: false,
    maxFps: 10,
  });
  return {
    close: async () => {
      view.unmount();
      await view.waitUntilExit();
    },
  };
}

interface Props {
  readonly store: InboxStore;
  readonly colour: boolean;
  readonly now: () => number;
}

export function InboxView({ store, colour, now }: Props): ReactElement {
  const state = useSyncExternalStore(store.subscribe, store.snapshot);
  const selected = state.requests.find(({ id }) => id === state.selected);
  const showsList = state.mode.mode === "list" || state.mode.mode === "gone" || selected === undefined;
  return (
    <Box flexDirection="column">
      {showsList ? <List state={state} now={now} /> : <Details request={selected} />}
      {state.mode.mode === "reason" && selected !== undefined ? (
        <Text>
          {`${state.mode.decision === "approve" ? "APPROVE" : "DENY"} ${operationText(selected)} by ${selected.user}; why`}
          {state.mode.decision === "approve" ? " (may be empty)" : ""}
          {`: ${state.mode.text}▏`}
        </Text>
      ) : null}
      {state.remark === undefined ? null : <Text {...(colour ? { color: "yellow" } : {})}>{state.remark}</Text>}
      <Text dimColor={colour}>{helpOf(state)}</Text>
    </Box>
  );
}

/** Requests in the list at a time. */
const SHOWN = 20;

function List({ state, now }: { readonly state: InboxState; readonly now: () => number }): ReactElement {
  const { requests } = state;
  if (requests.length === 0) return <Text>Nothing waits for an approval.</Text>;
  // What is selected stays in sight.
  const at = requests.findIndex(({ id }) => id === state.selected);
  const first = Math.max(0, Math.min(at - SHOWN / 2, requests.length - SHOWN));
  const below = requests.length - first - SHOWN;
  return (
    <Box flexDirection="column">
      {first > 0 ? <Text>{`… ${first} more above`}</Text> : null}
      {requests.slice(first, first + SHOWN).map((one) => (
        <Text key={one.id} wrap="truncate" bold={one.id === state.selected}>
          {`${one.id === state.selected ? "❯" : " "} ${one.user}  ${one.connection}  ${operationText(one)}  ` +
            `${one.rule}  ends ${formatDistance(one.expiresAt, now())}${one.may.decide ? "" : "  (not yours)"}`}
        </Text>
      ))}
      {below > 0 ? <Text>{`… ${below} more below`}</Text> : null}
    </Box>
  );
}

function Details({ request }: { readonly request: ApprovalView }): ReactElement {
  return <Text>{approvalLines(request, PLAIN).join("\n")}</Text>;
}

function helpOf({ mode }: InboxState): string {
  if (mode.mode === "reason") return "Enter decides · Esc goes back";
  if (mode.mode === "gone") return "Esc goes on with the others · q quit";
  return "↑ ↓ move · Enter details · a approve · d deny · q quit";
}
