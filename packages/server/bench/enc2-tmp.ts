import { encodeRecord, newCallId, newSessionId, uuidv7, canonicalize, type RecordDraft } from "@hoopish/protocol";
import { } from "node:process";
const session = newSessionId();
const actor = { sub: "00u1ab2cd3ef4gh5ij6k", iss: "https://login.bank.example", name: "scientist@bank.example", groups_hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", kind: "human", amr: ["pwd", "mfa"] } as const;
const c = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
const d: any = { type: "call.decided", actor, session, call: newCallId(), connection: "model-x", protocol: "http", method: "POST", path: "/v1/chat/completions", operation: { kind: "chat", model: "llama-3-8b" }, verdict: "allow", rule: "scientists", policy: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", payloads: { request: { c, len: 300 } } };
const stamp = () => ({ id: uuidv7(), time: "2026-11-23T05:17:57.524Z", src: { boot: "23cbade0-9661-4ab7-882b-b35e36e48431", n: 123456, replica: "gw-1" } });
function bench(name: string, f: () => unknown, n = 20000) { let best = 1e9; for (let r = 0; r < 20; r++) { const c = process.threadCpuUsage(); for (let i = 0; i < n; i++) f(); const e = process.threadCpuUsage(c); best = Math.min(best, (e.user + e.system) / n); } console.log(name, best.toFixed(2), "us"); }
class Slow extends Error {}
function ordered(v: any): any {
  switch (typeof v) {
    case "string": case "boolean": return v;
    case "number": if (!Number.isSafeInteger(v)) throw new TypeError("float"); return v;
    case "object": {
      if (v === null) return v;
      if (Array.isArray(v)) { let same = true; for (let i = 0; i < v.length; i++) { if (v[i] === undefined || ordered(v[i]) !== v[i]) same = false; } return same ? v : v.map(ordered); }
      const keys = Object.keys(v); let same = true;
      for (let i = 0; i < keys.length; i++) { const k = keys[i]!; if (k.charCodeAt(0) <= 57) throw new Slow(); if (i > 0 && keys[i - 1]! > k) same = false; const m = v[k]; if (typeof m !== "string" && m !== undefined && ordered(m) !== m) same = false; }
      if (same) return v;
      keys.sort(); const o: any = {}; for (const k of keys) o[k] = v[k] === undefined ? undefined : ordered(v[k]); return o;
    }
    default: throw new TypeError("x");
  }
}
const orders = new Map<string, string[]>();
function fast(draft: any, st: any): string {
  const full: any = { ...draft, v: 1, id: st.id, time: st.time, src: st.src };
  let order = orders.get(draft.type);
  if (order === undefined) { order = Object.keys(full).sort(); orders.set(draft.type, order); }
  const o: any = {}; let n = 0;
  for (let i = 0; i < order.length; i++) { const k = order[i]!; const m = full[k]; if (m === undefined) continue; n++; o[k] = typeof m === "string" ? m : ordered(m); }
  if (n !== Object.keys(full).length) return canonicalize(full);
  const text = JSON.stringify(o);
  return text.includes("\\ud") ? canonicalize(full) : text;
}
console.log(fast(d, { ...stamp(), id: "a" }) === encodeRecord(d, { ...stamp(), id: "a" }));
for (let i = 0; i < 3; i++) { bench("encode", () => encodeRecord(d, stamp())); bench("fast", () => fast(d, stamp())); bench("JSON", () => JSON.stringify(d)); bench("spread", () => ({ ...d, v: 1, id: "a", time: "b", src: 3 })); bench("ordered actor", () => ordered(d.actor)); bench("stamp", stamp); }
const out = Buffer.from(new SharedArrayBuffer(4096));
bench("encode+write", () => out.write(encodeRecord(d, stamp()), 0)); bench("fast+write", () => out.write(fast(d, stamp()), 0));
