import {
  type AgentView,
  agentListSchema,
  agentNameSchema,
  agentViewSchema,
  enrollmentTokenSchema,
  HoopishError,
  isAgentId,
  parseDurationMs,
} from "@hoopish/protocol";
import type { Context } from "../context.ts";
import { table } from "../terminal/table.ts";
import { formatDistance, formatTime } from "../terminal/units.ts";

/** A one-time token with which an agent hands in the public half of its key. */
export async function enrollAgent(context: Context, name: string, ttl: string): Promise<void> {
  if (!agentNameSchema.safeParse(name).success) {
    throw new HoopishError("usage", `"${name}" is not an agent's name`, {
      hint: "lower-case letters, digits and hyphens, such as edge-1",
    });
  }
  const ttlSeconds = Math.floor(parseDurationMs(ttl) / 1000);
  if (ttlSeconds < 30 || ttlSeconds > 3600) {
    throw new HoopishError("usage", `${ttl} is not between 30s and 1h`, { hint: "--ttl 15m" });
  }
  const api = await context.api();
  const token = await api.post("/api/v1/agents/enrollments", { name, ttlSeconds }, enrollmentTokenSchema);
  const server = await context.server();
  context.output.show({ ...token, server }, (safe) => {
    context.output.note(`A token for one agent named ${safe.name}, good once and until ${formatTime(safe.expiresAt)}.`);
    context.output.note(`Give it to \`hoopish-agent join\` where the agent runs; the server is ${safe.server}.`);
    // Alone on stdout: `TOKEN=$(hoopish agent enroll edge-1)`.
    return [safe.token];
  });
}

export async function listAgents(context: Context): Promise<void> {
  const list = await (await context.api()).get("/api/v1/agents", agentListSchema);
  const now = context.world.now();
  context.output.show(list, (safe, style) =>
    table(
      ["AGENT", "NAME", "STATE", "IN FLIGHT", "CONNECTIONS", "VERSION", "ENROLLED"],
      safe.agents.map((agent) => [
        { text: agent.id, paint: style.strong },
        agent.name,
        state(agent, style),
        agent.instances.length === 0 ? "" : String(agent.instances.reduce((sum, { inFlight }) => sum + inFlight, 0)),
        [...new Set(agent.instances.flatMap(({ connections }) => connections))].join(", "),
        [...new Set(agent.instances.map(({ version }) => version))].join(", "),
        formatDistance(agent.enrolledAt, now),
      ]),
      style,
      "No agents are enrolled.",
    ),
  );
}

function state(
  agent: AgentView,
  style: Parameters<typeof table>[2],
): { text: string; paint: (text: string) => string } {
  if (agent.revokedAt !== undefined) return { text: "revoked", paint: style.faint };
  if (agent.instances.length === 0) return { text: "offline", paint: style.bad };
  const count = agent.instances.length === 1 ? "" : ` (${agent.instances.length})`;
  return { text: `online${count}`, paint: style.good };
}

/** Takes an agent's key out of use, by its id or, where only one has it, by its name. */
export async function revokeAgent(context: Context, which: string): Promise<void> {
  const api = await context.api();
  const id = isAgentId(which) ? which : await idOf(which);
  const agent = await api.delete(`/api/v1/agents/${id}`, agentViewSchema);
  context.output.show(agent, (safe, style) => [`${style.good("✓")} Agent ${safe.name} (${safe.id}) is revoked`]);

  async function idOf(name: string): Promise<string> {
    const { agents } = await api.get("/api/v1/agents", agentListSchema);
    const found = agents.filter((one) => one.name === name && one.revokedAt === undefined);
    const [only] = found;
    if (only !== undefined && found.length === 1) return only.id;
    if (only === undefined) {
      throw new HoopishError("not_found", `no agent is named ${name}`, { hint: "hoopish agent list" });
    }
    throw new HoopishError("conflict", `${found.length} agents are named ${name}`, {
      hint: `give the id: ${found.map(({ id }) => id).join(", ")}`,
    });
  }
}
