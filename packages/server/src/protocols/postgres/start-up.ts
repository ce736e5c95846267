import { HoopishError } from "@hoopish/protocol";

/** Run-time parameters that change nothing of who somebody is, or of what a statement means. Names in lower case. */
const CARRIED: ReadonlySet<string> = new Set([
  "application_name",
  "bytea_output",
  "datestyle",
  "extra_float_digits",
  "idle_in_transaction_session_timeout",
  "intervalstyle",
  "lock_timeout",
  "statement_timeout",
  "timezone",
]);

export interface StartUp {
  readonly database: string | undefined;
  /** For the agent: name, value, name, value … */
  readonly parameters: readonly string[];
  /** Options of the protocol (`_pq_.…`) that are not known here. */
  readonly unknown: readonly string[];
}

/**
 * What a client asks for when it connects. Its user name is not looked at: who it is was settled when the session was opened,
 * and who it is at the database is the agent's to say.
 * @throws HoopishError policy_blocked, bad_request
 */
export function readStartUp(parameters: ReadonlyMap<string, string>): StartUp {
  // Whatever the role or the database has set: so the parser here reads texts, too.
  const carried = ["client_encoding", "UTF8", "standard_conforming_strings", "on"];
  const unknown: string[] = [];
  let database: string | undefined;
  for (const [name, value] of parameters) {
    const lower = name.toLowerCase();
    if (lower === "user") continue;
    if (lower === "database") database = value;
    else if (lower === "replication") refuseReplication(value);
    else if (lower === "client_encoding") refuseEncoding(value);
    else if (lower.startsWith("_pq_.")) unknown.push(name);
    else if (CARRIED.has(lower)) carried.push(name, value);
    else if (lower !== "options" || value.trim() !== "") {
      const what = lower === "options" ? "options (PGOPTIONS)" : `the parameter ${JSON.stringify(name.slice(0, 64))}`;
      throw new HoopishError("policy_blocked", `${what} is not carried: it could change what a statement means`, {
        hint: "set what you need with SET, where the rules let you",
      });
    }
  }
  return { database, parameters: carried, unknown };
}

function refuseReplication(value: string): void {
  if (/^(|0|false|off|no)$/i.test(value)) return;
  throw new HoopishError(
    "policy_blocked",
    "replication connections are not carried: nothing of them can be looked into",
  );
}

function refuseEncoding(value: string): void {
  if (/^(auto|unicode|utf-?8)$/i.test(value.replace(/['"]/g, ""))) return;
  throw new HoopishError(
    "bad_request",
    "write client_encoding UTF8: what comes in another encoding cannot be looked into",
  );
}
