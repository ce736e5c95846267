/** Numbers and times as people read them; times stay in UTC, since an audit compares them between machines. */

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(1)} KiB`;
  if (bytes < 1024 ** 3) return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}

/** RFC 3339 → `2026-11-23 08:00:00Z`; what is no time stays as it is. */
export function formatTime(time: string | undefined): string {
  if (time === undefined) return "";
  const ms = Date.parse(time);
  if (Number.isNaN(ms)) return time;
  return `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")}Z`;
}

/** `in 42 min`, `3 h ago`. */
export function formatDistance(time: string | number, nowMs: number): string {
  const ms = typeof time === "number" ? time : Date.parse(time);
  if (Number.isNaN(ms)) return "";
  const text = formatSpan(Math.abs(ms - nowMs));
  return ms >= nowMs ? `in ${text}` : `${text} ago`;
}

function formatSpan(ms: number): string {
  if (ms < 90_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 90 * 60_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 48 * 3_600_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} days`;
}
