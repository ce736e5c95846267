import {
  type ApprovalView,
  approvalListSchema,
  approvalViewSchema,
  HoopishError,
  isApprovalId,
} from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { approvalLines, operationText } from "../inbox/lines.ts";
import { isLive } from "../terminal/style.ts";
import { table } from "../terminal/table.ts";
import { formatTime } from "../terminal/units.ts";

export interface RequestsOptions {
  readonly all?: boolean;
  readonly reviews?: boolean;
  readonly watch?: boolean;
  readonly limit?: number;
}

/** Requests for approval: those that wait, one in full, or each as it comes. */
export async function listRequests(context: Context, id: string | undefined, options: RequestsOptions): Promise<void> {
  if (id !== undefined) return showRequest(context, id);
  if (options.watch === true) return watchRequests(context);
  const state = options.reviews === true ? "reviews" : options.all === true ? "all" : "pending";
  const api = await context.api();
  const list = await api.get("/api/v1/approvals", approvalListSchema, { state, limit: options.limit });
  context.output.show(list, (safe, style) =>
    table(
      ["REQUEST", "STATE", "USER", "CONNECTION", "ASKS", "RULE", "SAID YES", "ENDS"],
      safe.approvals.map((one) => [
        { text: one.id, paint: style.strong },
        one.state,
        one.user,
        one.connection,
        operationText(one),
        one.rule,
        `${one.decisions.filter(({ decision }) => decision === "approve").length} of ${one.quorum}`,
        formatTime(one.expiresAt),
      ]),
      style,
      "No requests.",
    ),
  );
}

async function showRequest(context: Context, id: string): Promise<void> {
  const request = await (await context.api()).get(pathOf(id), approvalViewSchema);
  context.output.show(request, approvalLines);
}

async function watchRequests(context: Context): Promise<void> {
  const { followApprovals } = await import("../inbox/feed.ts");
  for await (const event of followApprovals(context)) {
    if (event.approval === undefined) continue;
    context.output.event(event, ({ event: what, approval }, style) =>
      approval === undefined
        ? []
        : [`${style.strong(what)} ${approval.id} ${approval.user} ${approval.connection} ${operationText(approval)}`],
    );
  }
}

export interface ApproveOptions {
  readonly reason?: string;
  readonly breakGlass?: boolean;
}

/** Approves one request; without an id, on a terminal, the inbox. */
export async function approve(context: Context, id: string | undefined, options: ApproveOptions): Promise<void> {
  if (id !== undefined) return decide(context, id, "approve", options);
  const { world, output } = context;
  if (output.json || !world.stdin.isTTY || !isLive(world.stdout, world.env)) {
    throw new HoopishError("usage", "without a terminal, name the request", { hint: "hoopish requests  lists them" });
  }
  const { runInbox } = await import("../inbox/inbox.ts");
  await runInbox(context);
}

export async function deny(context: Context, id: string, reason: string): Promise<void> {
  await decide(context, id, "deny", { reason });
}

async function decide(
  context: Context,
  id: string,
  decision: "approve" | "deny",
  { reason, breakGlass }: ApproveOptions,
): Promise<void> {
  const body = {
    decision,
    ...(reason === undefined ? {} : { reason }),
    ...(breakGlass === true ? { breakGlass } : {}),
  };
  const request = await (await context.api()).post(`${pathOf(id)}/decisions`, body, approvalViewSchema);
  context.output.show(request, (safe, style) => [decidedLine(safe, style.good("✓"), decision)]);
}

function decidedLine(request: ApprovalView, mark: string, decision: "approve" | "deny"): string {
  const what = `${request.id}: ${operationText(request)} by ${request.user} on ${request.connection}`;
  if (decision === "deny") return `${mark} Denied ${what}`;
  const more = request.quorum - request.decisions.filter((one) => one.decision === "approve").length;
  if (request.state === "pending" && more > 0) return `${mark} Noted for ${what}; ${more} more must approve`;
  return `${mark} Approved ${what}`;
}

/** Somebody else looks at what broke the glass. */
export async function review(context: Context, id: string, reason: string): Promise<void> {
  const request = await (await context.api()).post(`${pathOf(id)}/reviews`, { reason }, approvalViewSchema);
  context.output.show(request, (safe, style) => [`${style.good("✓")} Reviewed ${safe.id}`]);
}

/** Checked here, since it becomes part of a path. */
function pathOf(id: string): string {
  if (isApprovalId(id)) return `/api/v1/approvals/${id}`;
  throw new HoopishError("usage", `"${id}" is not a request's id`, {
    hint: "hoopish requests  shows them: apr_ and 32 hexadecimal digits",
  });
}
