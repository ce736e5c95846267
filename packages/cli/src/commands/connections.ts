import { type ConnectionView, connectionListSchema } from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { observeCheckpoint } from "../evidence/observe.ts";
import { table } from "../terminal/table.ts";

/** What I may use. What I may not see is not in the server's list. */
export async function connections(context: Context): Promise<void> {
  const api = await context.api();
  await observeCheckpoint(context, api);
  const list = await api.get("/api/v1/connections", connectionListSchema);
  context.output.show(list, (safe, style) =>
    table(
      ["NAME", "API", "AGENT", "ACCESS", "REASON"],
      safe.connections.map((connection) => [
        { text: connection.name, paint: style.strong },
        connection.protocol === "http" ? connection.api : `${connection.api} (${connection.protocol})`,
        connection.online ? { text: "online", paint: style.good } : { text: "offline", paint: style.bad },
        access(connection),
        connection.requireReason ? "required" : "",
      ]),
      style,
      "You may use no connection.",
    ),
  );
}

/** The mildest of the rules that speak of it, and whether others hold or block some of the calls. */
function access({ rules }: ConnectionView): string {
  const verdicts = new Set(rules.map(({ verdict }) => verdict));
  if (!verdicts.has("allow")) return verdicts.has("hold") ? "needs approval" : "";
  const some = [verdicts.has("hold") && "some calls need approval", verdicts.has("block") && "some are blocked"];
  return ["yes", ...some.filter((words) => words !== false)].join(", ");
}
