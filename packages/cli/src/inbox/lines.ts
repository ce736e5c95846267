import type { ApprovalView } from "@hoopish/protocol";
import type { Style } from "../terminal/style.ts";
import { details } from "../terminal/table.ts";
import { formatBytes, formatTime } from "../terminal/units.ts";

/** `infer credit, 5,000 rows`. */
export function operationText({ operation }: ApprovalView): string {
  const { kind, model, rows, tokens } = operation;
  const amounts = [
    rows === undefined ? undefined : `${rows.toLocaleString("en-US")} ${rows === 1 ? "row" : "rows"}`,
    tokens === undefined ? undefined : `${tokens.toLocaleString("en-US")} tokens`,
  ];
  return [[kind, model].filter(Boolean).join(" "), ...amounts.filter(Boolean)].join(", ");
}

/** Everything that an approver should know of a request. */
export function approvalLines(request: ApprovalView, style: Style): readonly string[] {
  const { before, decisions, review } = request;
  const said = decisions.map(
    ({ by, at, decision, reason, breakGlass }) =>
      `${decision === "approve" ? "yes" : "no"}, ${by}, ${formatTime(at)}${breakGlass === true ? ", broke the glass" : ""}${reason === undefined ? "" : `: ${reason}`}`,
  );
  const reviewed = review?.owed === true ? "owed" : `${review?.by ?? ""}: ${review?.reason ?? ""}`;
  return [
    ...details(
      [
        ["request", style.strong(request.id)],
        ["state", request.endReason === undefined ? request.state : `${request.state}: ${request.endReason}`],
        ["who", request.user],
        ["why", request.reason],
        ["ticket", request.ticket],
        ["asks", style.strong(operationText(request))],
        ["connection", request.connection],
        ["held by", `rule ${request.rule}`],
        ["request line", `${request.method} ${request.path}`],
        ["body", formatBytes(request.bytes)],
        [
          "good for",
          request.scope === "call" ? "this call, once" : `the session, until ${formatTime(request.windowUntil)}`,
        ],
        ["decided by", `${request.quorum} of ${request.groups.join(", ")}`],
        ["asked before", `${before.requests} times: ${before.approved} approved, ${before.denied} denied`],
        ["since", formatTime(request.requestedAt)],
        ["ends", formatTime(request.expiresAt)],
        ...said.map((line): [string, string] => ["said", line]),
        ["used", request.usedAt === undefined ? undefined : formatTime(request.usedAt)],
        ["review", review === undefined ? undefined : reviewed],
      ],
      style,
    ),
    ...(request.preview === undefined ? [] : ["", style.faint("The body, its values hidden:"), ...request.preview]),
  ];
}
