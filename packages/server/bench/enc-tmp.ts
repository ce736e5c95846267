import { encodeRecord, newCallId, newSessionId, uuidv7, canonicalize, type RecordDraft } from "@hoopish/protocol";
const session = newSessionId();
const actor = { sub: "00u1ab2cd3ef4gh5ij6k", iss: "https://login.bank.example", name: "scientist@bank.example", groups_hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", kind: "human", amr: ["pwd", "mfa"] } as const;
const c = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
export const decided = (): RecordDraft => ({ type: "call.decided", actor, session, call: newCallId(), connection: "model-x", protocol: "http", method: "POST", path: "/v1/chat/completions", operation: { kind: "chat", model: "llama-3-8b" }, verdict: "allow", rule: "scientists", policy: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", payloads: { request: { c, len: 300 } } });
export const answered = (call: any): RecordDraft => ({ type: "call.answered", actor, session, call, connection: "model-x", status: 200, duration_ms: 123, bytes: { request: 300, delivered: 300 }, tokens: { input: 20, output: 30 }, agent: "agt_01a206d6e93f70019d752098566515de" as any, outcome: "complete", payloads: { delivered: { c, len: 300 } } });
const d = decided(), a = answered(d.call); const stamp = () => ({ id: uuidv7(), time: "2026-11-23T05:17:57.524Z", src: { replica: "gw-1", boot: "23cbade0-9661-4ab7-882b-b35e36e48431", n: 123456 } });
const t1 = encodeRecord(d, stamp()), t2 = encodeRecord(a, stamp());
console.log(t1.length, t2.length);
function bench(name: string, f: () => unknown, n = 20000) { let best = 1e9; for (let r = 0; r < 15; r++) { const c = process.threadCpuUsage(); for (let i = 0; i < n; i++) f(); const e = process.threadCpuUsage(c); best = Math.min(best, (e.user + e.system) / n); } console.log(name, best.toFixed(2), "us"); }
bench("encode decided", () => encodeRecord(d, stamp()));
bench("encode answered", () => encodeRecord(a, stamp()));
bench("stamp", () => stamp());
bench("JSON.stringify(draft)", () => JSON.stringify(d));
bench("JSON.parse decided", () => JSON.parse(t1));
const b1 = Buffer.from(t1); bench("JSON.parse(buffer.toString)", () => JSON.parse(b1.toString()));
bench("isWellFormed", () => t1.isWellFormed());
// sorted rebuild + stringify
function sorted(v: any): any { if (v === null || typeof v !== "object") return v; if (Array.isArray(v)) return v.map(sorted); const o: any = {}; for (const k of Object.keys(v).sort()) if (v[k] !== undefined) o[k] = sorted(v[k]); return o; }
bench("sorted+stringify", () => JSON.stringify(sorted({ ...d, v: 1, ...stamp() })));
const actorJson = canonicalize(actor as any), payloads = { request: { c, len: 300 } };
const q = JSON.stringify;
bench("template", () => { const s = stamp(); const x = d as any; return `{"actor":${actorJson},"call":"${x.call}","connection":${q(x.connection)},"id":"${s.id}","method":${q(x.method)},"operation":{"kind":${q(x.operation.kind)},"model":${q(x.operation.model)}},"path":${q(x.path)},"payloads":${canonicalize(payloads)},"policy":${q(x.policy)},"protocol":${q(x.protocol)},"rule":${q(x.rule)},"session":"${x.session}","src":{"boot":"${s.src.boot}","n":${s.src.n},"replica":${q(s.src.replica)}},"time":"${s.time}","type":${q(x.type)},"v":1,"verdict":${q(x.verdict)}}`; });
const out = Buffer.from(new SharedArrayBuffer(4096));
bench("utf8Write flat", () => out.utf8Write(t1, 0));
const rope = () => { const s = stamp(); return `{"actor":${actorJson},"id":"${s.id}","p":"${t2}","time":"${s.time}"}`; };
bench("rope make", rope); bench("rope make+utf8Write", () => out.utf8Write(rope(), 0));
bench("regex plain", () => /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test("/v1/chat/completions")); bench("JSON.stringify str", () => q("/v1/chat/completions"));
bench("Date iso", () => new Date(1700000000000).toISOString());
bench("uuidv7", () => uuidv7()); bench("newCallId", () => newCallId());
bench("promise+closure", () => new Promise<void>((r) => { r(); }));
