import {
  type ApprovalEvent,
  type ApprovalId,
  type ApprovalView,
  decisionRequestSchema,
  HoopishError,
  isApprovalId,
  reviewRequestSchema,
} from "@hoopish/protocol";
import { type Context, Hono } from "hono";
import { maySee } from "../approvals/eligibility.ts";
import { payload } from "../approvals/load.ts";
import { previewOf } from "../approvals/preview.ts";
import type { ApprovalRequest, Change } from "../approvals/request.ts";
import { approvalView } from "../approvals/view.ts";
import { searched, streamed } from "./audit.ts";
import { body } from "./body.ts";
import { type Caller, type ConsoleEnv, type ConsolePorts, pageLimit } from "./context.ts";

const PREVIEW_BYTES = 1_048_576;
const KEEP_ALIVE_MS = 15_000;
/** Changes that may wait for a reader who does not read; then he is cut, and comes again. */
const MAX_QUEUE = 2_000;

/** Requests for approval: an approver's inbox, one's own, and everything for administrators and auditors. */
export function approvalRoutes(ports: ConsolePorts): Hono<ConsoleEnv> {
  const routes = new Hono<ConsoleEnv>();

  routes.get("/approvals", (context) => {
    const caller = context.get("caller");
    const { state = "pending", limit } = context.req.query();
    const wanted = CHOICES[state];
    if (wanted === undefined) throw new HoopishError("bad_request", "state is pending, all or reviews");
    const found = ports.approvals.list().filter((request) => sees(caller, request) && wanted(request));
    return context.json({ approvals: found.slice(0, pageLimit(limit)).map((one) => viewFor(caller, one, ports)) });
  });

  routes.get("/approvals/events", (context) => streamed(events(context.get("caller"), ports), "application/x-ndjson"));

  routes.get("/approvals/:id", async (context) => {
    const caller = context.get("caller");
    const request = visible(context, ports);
    const bytes = await payload(ports.reader, request.call, "request", PREVIEW_BYTES);
    await searched(caller, { approval: request.id }, 1, ports);
    const preview = bytes === undefined ? ["(not kept)"] : previewOf(bytes, bytes.length <= PREVIEW_BYTES);
    return context.json({ ...viewFor(caller, request, ports), preview } satisfies ApprovalView);
  });

  routes.post("/approvals/:id/decisions", async (context) => {
    const caller = context.get("caller");
    const { id } = visible(context, ports);
    const request = await ports.approvals.decide(id, caller, await body(context, decisionRequestSchema));
    return context.json(viewFor(caller, request, ports));
  });

  routes.post("/approvals/:id/reviews", async (context) => {
    const caller = context.get("caller");
    const { id } = visible(context, ports);
    const { reason } = await body(context, reviewRequestSchema);
    const request = await ports.approvals.review(id, { ...caller, hasRole: caller.roles.length > 0 }, reason);
    return context.json(viewFor(caller, request, ports));
  });
  return routes;
}

const CHOICES: Readonly<Record<string, (request: ApprovalRequest) => boolean>> = {
  pending: ({ state }) => state.state === "pending",
  all: () => true,
  reviews: ({ brokeGlass, review }) => brokeGlass && review === undefined,
};

const sees = ({ principal, roles }: Caller, request: ApprovalRequest): boolean =>
  maySee(principal, request, roles.length > 0);

/** @throws HoopishError not_found, also for what this caller may not see */
function visible(context: Context<ConsoleEnv>, ports: ConsolePorts): ApprovalRequest {
  const id = context.req.param("id") ?? "";
  const request = isApprovalId(id) ? ports.approvals.get(id as ApprovalId) : undefined;
  if (request === undefined || !sees(context.get("caller"), request)) {
    throw new HoopishError("not_found", "no such request");
  }
  return request;
}

function viewFor({ principal, roles }: Caller, request: ApprovalRequest, ports: ConsolePorts): ApprovalView {
  const breakGlass = ports.breakGlassOf(request.asked.rule);
  return approvalView(request, { principal, hasRole: roles.length > 0 }, breakGlass, ports.approvals.list());
}

/** What is pending, then each change as it happens, until the caller's token or the server ends. */
async function* events(caller: Caller, ports: ConsolePorts): AsyncGenerator<Buffer> {
  const queue: string[] = [];
  let wake: () => void = () => undefined;
  let over = false;
  const put = (line: string): void => {
    queue.push(line);
    if (queue.length > MAX_QUEUE) over = true;
    wake();
  };
  const line = (event: ApprovalEvent["event"], request?: ApprovalRequest): string =>
    `${JSON.stringify({ event, ...(request === undefined ? {} : { approval: viewFor(caller, request, ports) }) })}\n`;
  const stop = ports.approvals.subscribe((change: Change, request) => {
    if (sees(caller, request)) put(line(change, request));
  });
  const end = (): void => {
    over = true;
    wake();
  };
  const alive = setInterval(() => put("\n"), KEEP_ALIVE_MS);
  const expiry = setTimeout(end, Math.max(0, Math.min(caller.principal.expiresAtMs - ports.now(), 2 ** 31 - 1)));
  ports.ending.addEventListener("abort", end);
  try {
    for (const request of ports.approvals.list().reverse()) {
      if (request.state.state === "pending" && sees(caller, request)) put(line("snapshot", request));
    }
    put(line("ready"));
    while (!over) {
      if (ports.locks.find("user", caller.principal.user) !== undefined) return;
      if (queue.length > 0) yield Buffer.from(queue.splice(0).join(""));
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    stop();
    clearInterval(alive);
    clearTimeout(expiry);
    ports.ending.removeEventListener("abort", end);
  }
}
