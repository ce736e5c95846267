import { randomFillSync } from "node:crypto";

/** Branded identifiers: a session id cannot be passed where a call id is meant. */
export type SessionId = string & { readonly __brand: "SessionId" };
export type CallId = string & { readonly __brand: "CallId" };
export type AgentId = string & { readonly __brand: "AgentId" };
export type HoldId = string & { readonly __brand: "HoldId" };
export type ApprovalId = string & { readonly __brand: "ApprovalId" };
export type LockId = string & { readonly __brand: "LockId" };

const POOL_BYTES = 4096;
const pool = Buffer.alloc(POOL_BYTES);
let poolAt = POOL_BYTES;
let lastMs = 0;
/** `lastMs` in hexadecimal: a number of that size is slow to write, and changes seldom. */
let lastTime = "000000000000";
let counter = 0;

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const hex = (byte: number): string => HEX[byte & 0xff] as string;

/**
 * A UUID of version 7 (RFC 9562 §5.7): Unix milliseconds, a 12-bit counter that keeps ids made in one millisecond in
 * order (§6.2 method 1), 62 random bits. When the counter runs out, or the clock goes back, the time part runs ahead.
 */
export function uuidv7(nowMs: number = Date.now()): string {
  return next(nowMs, "-");
}

function next(nowMs: number, dash: "-" | ""): string {
  if (nowMs > lastMs) setTime(nowMs);
  else if (++counter > 0xfff) setTime(lastMs + 1);
  if (poolAt + 8 > POOL_BYTES) {
    randomFillSync(pool);
    poolAt = 0;
  }
  const at = poolAt;
  poolAt += 8;
  const random = (i: number): number => pool[at + i] as number;
  const sequence = `${hex(0x70 | (counter >>> 8))}${hex(counter)}`;
  const variant = `${hex(0x80 | (random(0) & 0x3f))}${hex(random(1))}`;
  const rest = `${hex(random(2))}${hex(random(3))}${hex(random(4))}${hex(random(5))}${hex(random(6))}${hex(random(7))}`;
  return `${lastTime.slice(0, 8)}${dash}${lastTime.slice(8)}${dash}${sequence}${dash}${variant}${dash}${rest}`;
}

function setTime(ms: number): void {
  lastMs = ms;
  lastTime = ms.toString(16).padStart(12, "0");
  counter = 0;
}

const compact = (): string => next(Date.now(), "");

export const newSessionId = (): SessionId => `ses_${compact()}` as SessionId;
export const newCallId = (): CallId => `call_${compact()}` as CallId;
export const newAgentId = (): AgentId => `agt_${compact()}` as AgentId;
export const newHoldId = (): HoldId => `hold_${compact()}` as HoldId;
export const newApprovalId = (): ApprovalId => `apr_${compact()}` as ApprovalId;
export const newLockId = (): LockId => `lock_${compact()}` as LockId;

const idPattern = (prefix: string): RegExp => new RegExp(`^${prefix}_[0-9a-f]{32}$`);
const SESSION = idPattern("ses");
const CALL = idPattern("call");
const AGENT = idPattern("agt");
const HOLD = idPattern("hold");
const APPROVAL = idPattern("apr");
const LOCK = idPattern("lock");

export const isSessionId = (value: unknown): value is SessionId => typeof value === "string" && SESSION.test(value);
export const isCallId = (value: unknown): value is CallId => typeof value === "string" && CALL.test(value);
export const isAgentId = (value: unknown): value is AgentId => typeof value === "string" && AGENT.test(value);
export const isHoldId = (value: unknown): value is HoldId => typeof value === "string" && HOLD.test(value);
export const isApprovalId = (value: unknown): value is ApprovalId => typeof value === "string" && APPROVAL.test(value);
export const isLockId = (value: unknown): value is LockId => typeof value === "string" && LOCK.test(value);
