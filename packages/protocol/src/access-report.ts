import { z } from "zod";

/**
 * Who could use what, and who did (GET /audit/report/access). One row a fact; `what` says of which kind, and which of the
 * other members it has:
 *   grant       a rule in force now that lets somebody in · count: people who used it · last: when · state: used | dormant
 *   use         one user, connection and rule · count: calls · first, last · detail: held and blocked ones
 *   approval    one request · state: how it ended · by, reason, time of each decision in `detail`
 *   break_glass the same for one that broke the glass · state: reviewed | owed
 *   lock        · state: set | lifted · last: the first refused call or sign-in after it
 */
export interface AccessRow {
  readonly what: "grant" | "use" | "approval" | "break_glass" | "lock";
  readonly user?: string;
  readonly issuer?: string;
  readonly account?: "human" | "service";
  readonly connection?: string;
  readonly rule?: string;
  readonly count?: number;
  readonly first?: string;
  readonly last?: string;
  readonly state?: string;
  readonly by?: string;
  readonly reason?: string;
  readonly id?: string;
  readonly detail?: string;
}
export interface AccessReport {
  readonly since: string;
  readonly until: string;
  readonly rows: readonly AccessRow[];
}
const text = z.string().exactOptional();
export const accessReportSchema: z.ZodType<AccessReport> = z.object({
  since: z.string(),
  until: z.string(),
  rows: z.array(
    z.object({
      what: z.enum(["grant", "use", "approval", "break_glass", "lock"]),
      user: text,
      issuer: text,
      account: z.enum(["human", "service"]).exactOptional(),
      connection: text,
      rule: text,
      count: z.number().int().nonnegative().exactOptional(),
      first: text,
      last: text,
      state: text,
      by: text,
      reason: text,
      id: text,
      detail: text,
    }),
  ),
});
/** In the order in which a table has them. */
export const ACCESS_COLUMNS: readonly (keyof AccessRow)[] = [
  "what",
  "user",
  "issuer",
  "account",
  "connection",
  "rule",
  "count",
  "first",
  "last",
  "state",
  "by",
  "reason",
  "id",
  "detail",
];
