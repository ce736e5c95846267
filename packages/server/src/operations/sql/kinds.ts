/**
 * What a statement does, the most dangerous first: of several the first that is here counts.
 * `call`: a function, or a procedure, whose effect nobody has named.
 */
export const SEVERITY = [
  "copy_program",
  "file_access",
  "replication",
  "do",
  "set_role",
  "grant",
  "ddl",
  "truncate",
  "delete_without_where",
  "update_without_where",
  "call",
  "merge",
  "delete",
  "update",
  "insert",
  "large_object",
  "copy_in",
  "copy_out",
  "maintenance",
  "execute",
  "other",
  "lock",
  "notify",
  "set",
  "model_call",
  "prepare",
  "deallocate",
  "cursor",
  "listen",
  "explain",
  "select",
  "transaction",
] as const;
export type SqlKind = (typeof SEVERITY)[number];

/** Kinds that may change what is stored. */
export const WRITES: ReadonlySet<SqlKind> = new Set(SEVERITY.slice(0, SEVERITY.indexOf("copy_out")));

export function worstKind(kinds: readonly SqlKind[]): SqlKind {
  return SEVERITY.find((kind) => kinds.includes(kind)) ?? "other";
}

const EXACT: Readonly<Record<string, SqlKind>> = {
  SelectStmt: "select",
  InsertStmt: "insert",
  MergeStmt: "merge",
  TruncateStmt: "truncate",
  DoStmt: "do",
  CallStmt: "call",
  TransactionStmt: "transaction",
  ExplainStmt: "explain",
  PrepareStmt: "prepare",
  ExecuteStmt: "execute",
  DeallocateStmt: "deallocate",
  DeclareCursorStmt: "cursor",
  FetchStmt: "cursor",
  ClosePortalStmt: "cursor",
  ListenStmt: "listen",
  UnlistenStmt: "listen",
  NotifyStmt: "notify",
  LockStmt: "lock",
  ConstraintsSetStmt: "set",
  VariableShowStmt: "select",
  DiscardStmt: "set",
  VacuumStmt: "maintenance",
  ReindexStmt: "maintenance",
  ClusterStmt: "maintenance",
  CheckPointStmt: "maintenance",
  RefreshMatViewStmt: "ddl",
  LoadStmt: "file_access",
  GrantStmt: "grant",
  GrantRoleStmt: "grant",
  AlterDefaultPrivilegesStmt: "grant",
  ReassignOwnedStmt: "grant",
  DropOwnedStmt: "grant",
  AlterSystemStmt: "file_access",
};

/** Of a statement's node type alone. */
export function kindOfNode(type: string): SqlKind | undefined {
  if (Object.hasOwn(EXACT, type)) return EXACT[type];
  if (!type.endsWith("Stmt")) return undefined;
  if (/Role/.test(type)) return "grant";
  return /^(Alter|Create|Define|Drop|Import|Comment|SecLabel|Rename|Rule|View|Index|CompositeType)/.test(type)
    ? "ddl"
    : "other";
}
