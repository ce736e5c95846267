import type { SqlKind } from "./kinds.ts";
import { KNOWN_FUNCTIONS } from "./known-functions.ts";

/** Functions of extensions that ask a model, and do nothing else: others of them train, load and deploy. */
const MODELS =
  /^(?:pgml\.(?:predict|predict_proba|predict_joint|predict_batch|embed|rank|transform)|madlib\.\w+_predict(?:_\w+)?)$/;

/** Of those, the ones that take many inputs in one array. */
const BATCHES = /^pgml\.(?:predict_batch|embed|rank|transform)$/;
export const takesMany = (name: string): boolean => BATCHES.test(name);

/** Run a text that they are given as SQL. */
const RUNS_TEXT =
  /^(?:query_to_xml|query_to_xmlschema|query_to_xml_and_xmlschema|cursor_to_xml|cursor_to_xmlschema|table_to_xml.*|schema_to_xml.*|database_to_xml.*|ts_stat|ts_rewrite|dblink.*|crosstab\w*|connectby|xpath_table|pg_background_launch|cron_?schedule|execute)$/;
const FILES =
  /^(?:pg_read_\w+|pg_ls_\w+|pg_stat_file|lo_import|lo_export|pg_file_\w+|pg_current_logfile|adminpack\w*)$/;
const LARGE_OBJECTS = /^(?:lo_\w+|loread|lowrite)$/;
const REPLICATION = /^(?:pg_(?:create|drop|copy|advance)?_?(?:physical_|logical_)?replication\w*|pg_logical_\w+)$/;
/** Of the server, not of its data. */
const ADMIN =
  /^pg_(?:reload_conf|rotate_logfile|terminate_backend|cancel_backend|promote|switch_wal|backup_\w+|create_restore_point|log_backend\w*)$/;

/** PostgreSQL's own that are neither harmless by pg_proc nor dangerous. */
const OWN: ReadonlyMap<string, SqlKind> = new Map([
  ["set_config", "set"],
  ["pg_notify", "notify"],
  ["nextval", "update"],
  ["setval", "update"],
  ...(
    "currval lastval pg_sleep pg_sleep_for pg_sleep_until pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock " +
    "pg_advisory_unlock_all pg_advisory_unlock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_lock " +
    "pg_try_advisory_lock_shared pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared"
  )
    .split(" ")
    .map((name): [string, SqlKind] => [name, "select"]),
]);

export interface FunctionMeaning {
  readonly kind: SqlKind;
  /** Why it is not certain what it does. */
  readonly unclear?: string;
}

/** What a call of this function makes of its statement; `select`: nothing. `names`: as the text has them, folded. */
export function meaningOf(names: readonly string[], isModel: (name: string) => boolean): FunctionMeaning {
  const name = names.at(-1) ?? "";
  const schema = names.length > 1 ? names.at(-2) : undefined;
  if (isModel(names.join("."))) return { kind: "model_call" };
  if (RUNS_TEXT.test(name)) return { kind: "call", unclear: "it calls a function that runs a text as SQL" };
  if (FILES.test(name)) return { kind: "file_access" };
  if (LARGE_OBJECTS.test(name)) return { kind: "large_object" };
  if (REPLICATION.test(name)) return { kind: "replication" };
  if (ADMIN.test(name)) return { kind: "maintenance" };
  // A name is PostgreSQL's own only without a schema, or with its own.
  if (schema === undefined || schema === "pg_catalog") {
    const own = OWN.get(name) ?? (KNOWN_FUNCTIONS.has(name) ? "select" : undefined);
    if (own !== undefined) return { kind: own };
  }
  return {
    kind: "call",
    unclear:
      "it calls a function whose effect is not known here (readFunctions or modelFunctions name those that may be called)",
  };
}

/** @param listed names as the configuration has them: `f`, `schema.f`, `schema.*` */
export function matcher(listed: readonly string[], builtIn: boolean): (name: string) => boolean {
  const exact = new Set(listed);
  return (name) => {
    const dot = name.lastIndexOf(".");
    const schema = dot === -1 ? "" : name.slice(0, dot);
    if (builtIn && MODELS.test(name)) return true;
    return exact.has(name) || exact.has(`${schema}.*`) || (schema === "public" && exact.has(name.slice(dot + 1)));
  };
}
