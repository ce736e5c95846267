import { randomFillSync } from "node:crypto";

/** Branded identifiers: a session id cannot be passed where a call id is meant. */
export type SessionId = string & { readonly __brand: "SessionId" };
export type CallId = string & { readonly __brand: "CallId" };
export type AgentId = string & { readonly __brand: "AgentId" };
export type HoldId = string & { readonly __brand: "HoldId" };

const POOL_BYTES = 4096;
const pool = Buffer.alloc(POOL_BYTES);
let poolAt = POOL_BYTES;
let lastMs = 0;
let counter = 0;

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const hex = (byte: number): string => HEX[byte & 0xff] as string;

/**
 * A UUID of version 7 (RFC 9562 §5.7): Unix milliseconds, a 12-bit counter that keeps ids made in one millisecond in
 * order (§6.2 method 1), 62 random bits. When the counter runs out, or the clock goes back, the time part runs ahead.
 */
export function uuidv7(nowMs: number = Date.now()): string {
  if (nowMs > lastMs) {
    lastMs = nowMs;
    counter = 0;
  } else if (++counter > 0xfff) {
    lastMs += 1;
    counter = 0;
  }
  if (poolAt + 8 > POOL_BYTES) {
    randomFillSync(pool);
    poolAt = 0;
  }
  const r = pool.subarray(poolAt, poolAt + 8);
  poolAt += 8;
  const at = (i: number): number => r[i] as number;
  const time = lastMs.toString(16).padStart(12, "0");
  const seq = (0x7000 | counter).toString(16);
  return (
    `${time.slice(0, 8)}-${time.slice(8)}-${seq}-${hex(0x80 | (at(0) & 0x3f))}${hex(at(1))}-` +
    `${hex(at(2))}${hex(at(3))}${hex(at(4))}${hex(at(5))}${hex(at(6))}${hex(at(7))}`
  );
}

const compact = (uuid: string): string => uuid.replaceAll("-", "");

export const newSessionId = (): SessionId => `ses_${compact(uuidv7())}` as SessionId;
export const newCallId = (): CallId => `call_${compact(uuidv7())}` as CallId;
export const newAgentId = (): AgentId => `agt_${compact(uuidv7())}` as AgentId;
export const newHoldId = (): HoldId => `hold_${compact(uuidv7())}` as HoldId;

const idPattern = (prefix: string): RegExp => new RegExp(`^${prefix}_[0-9a-f]{32}$`);
const SESSION = idPattern("ses");
const CALL = idPattern("call");
const AGENT = idPattern("agt");
const HOLD = idPattern("hold");

export const isSessionId = (value: unknown): value is SessionId => typeof value === "string" && SESSION.test(value);
export const isCallId = (value: unknown): value is CallId => typeof value === "string" && CALL.test(value);
export const isAgentId = (value: unknown): value is AgentId => typeof value === "string" && AGENT.test(value);
export const isHoldId = (value: unknown): value is HoldId => typeof value === "string" && HOLD.test(value);
