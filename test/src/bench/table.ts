import type { Machine } from "./machine.ts";
import { type Goal, short, type Table } from "./result.ts";

/** Markdown that reads as well on a terminal: the columns are padded, numbers to the right. */
export function renderTable({ title, note, head, rows }: Table): string {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => (row[column] ?? "").length), 3));
  const numeric = head.map((_, column) => rows.every((row) => /^[\d–≤≥✓✗-]/.test(row[column] ?? "–")));
  const cells = (row: readonly string[]): string[] =>
    widths.map((width, column) => {
      const text = row[column] ?? "";
      return numeric[column] ? text.padStart(width) : text.padEnd(width);
    });
  const rule = widths.map((width, column) => (numeric[column] ? `${"-".repeat(width - 1)}:` : "-".repeat(width)));
  const lines = [head, ...rows].map((row) => `| ${cells(row).join(" | ")} |`);
  lines.splice(1, 0, `| ${rule.join(" | ")} |`);
  return [`### ${title}`, "", ...(note === undefined ? [] : [note, ""]), ...lines, ""].join("\n");
}

export function goalsTable(goals: readonly Goal[]): Table {
  return {
    title: "Goals",
    head: ["figure", "measured", "goal", "met"],
    rows: goals.map(({ what, value, unit, bound, sense, met }) => {
      const gap = unit === "×" || unit === "" ? "" : " ";
      return [
        what,
        `${short(value)}${gap}${unit}`,
        `${sense === "at least" ? "≥" : "≤"} ${bound}${gap}${unit}`,
        met ? "✓" : "✗",
      ];
    }),
  };
}

/** What is known only at the run's end. */
export interface RunFacts {
  readonly tookMs: number;
  /** Share of all cores that other programs used meanwhile. */
  readonly othersCpu: number;
  readonly leftOut: readonly string[];
}

export function machineTable(machine: Machine, { tookMs, othersCpu, leftOut }: RunFacts): Table {
  return {
    title: "The run",
    head: ["fact", "value"],
    rows: [
      ["date", machine.date],
      ["commit", machine.commit],
      ["CPU", `${machine.cores} × ${machine.cpu}`],
      ["memory", `${machine.memoryGib} GiB`],
      ["system", machine.kernel],
      ["Node", machine.node],
      ["fdatasync of 4 KiB", `${machine.fdatasyncMs} ms`],
      ["CPU used by other programs", `${Math.round(100 * othersCpu)} %`],
      ["took", `${Math.round(tookMs / 1000)} s`],
      ["left out", leftOut.join("; ") || "nothing"],
    ],
  };
}
