/** Words of `hoopish agent` that are ours; every other one runs `hoopish-agent` (external.ts). */
export const AGENT_WORDS: readonly string[] = ["enroll", "list", "revoke"];
