import type { DatabaseSync } from "node:sqlite";
import type { AgentChange } from "./agent-store.ts";

/** Inside the transaction of the record that tells of it. Rare: nothing is prepared ahead. */
export function applyAgentChange(db: DatabaseSync, change: AgentChange): void {
  switch (change.kind) {
    case "token.add":
      db.prepare("INSERT INTO tokens (sha256, name, expires_at) VALUES (?, ?, ?)").run(
        change.sha256,
        change.name,
        change.expiresAtMs,
      );
      return;
    case "agent.enroll": {
      const { agent } = change;
      const taken = db.prepare("UPDATE tokens SET used_by = ? WHERE sha256 = ? AND used_by IS NULL");
      if (taken.run(agent.id, change.sha256).changes !== 1) throw new Error("the enrolment token is used already");
      db.prepare("INSERT INTO agents (id, name, public_key, enrolled_at) VALUES (?, ?, ?, ?)").run(
        agent.id,
        agent.name,
        agent.publicKey,
        agent.enrolledAtMs,
      );
      return;
    }
    case "agent.revoke": {
      const revoked = db.prepare("UPDATE agents SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL");
      if (revoked.run(change.revokedAtMs, change.id).changes !== 1) throw new Error("the agent is revoked already");
    }
  }
}
