import type { HoldFilters, HoldId, HoldView } from "@hoopish/protocol";
import type { Query } from "../query.ts";
import type { ActiveHold } from "./month-calls.ts";

interface Row {
  readonly id: string;
  readonly placed_at: number;
  readonly placed_by: string;
  readonly reason: string;
  readonly filters: string;
  readonly released_at: number | null;
  readonly released_by: string | null;
  readonly released_reason: string | null;
}

/** Oldest first. */
export function activeHolds(query: Query): ActiveHold[] {
  return query
    .all<Pick<Row, "id" | "filters">>("SELECT id, filters FROM holds WHERE released_at IS NULL ORDER BY rowid")
    .map(({ id, filters }) => ({ id: id as HoldId, filters: JSON.parse(filters) as HoldFilters }));
}

/** Newest first. */
export function listHolds(query: Query, which: "active" | "all"): HoldView[] {
  const condition = which === "active" ? "WHERE released_at IS NULL" : "";
  return query.all<Row>(`SELECT * FROM holds ${condition} ORDER BY rowid DESC`).map(view);
}

export function findHold(query: Query, id: HoldId): HoldView | undefined {
  const row = query.get<Row>("SELECT * FROM holds WHERE id = ?", id);
  return row === undefined ? undefined : view(row);
}

function view(row: Row): HoldView {
  const released =
    row.released_at === null
      ? {}
      : { released: { at: time(row.released_at), by: row.released_by ?? "", reason: row.released_reason ?? "" } };
  return {
    id: row.id as HoldId,
    placedAt: time(row.placed_at),
    by: row.placed_by,
    reason: row.reason,
    filters: JSON.parse(row.filters) as HoldFilters,
    ...released,
  };
}

const time = (ms: number): string => new Date(ms).toISOString();
