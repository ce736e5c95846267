import { openSqliteStore } from "/work/main/packages/server/src/adapters/sqlite/store.ts";
import { exportJsonl, exportCsv } from "/work/main/packages/server/src/evidence/export.ts";
import { newCallId, newSessionId } from "@hoopish/protocol";
for (const path of [":memory:", `/tmp/spike/s-${Date.now()}/x.db`]) {
const store = await openSqliteStore({ path, replica: "r" }); const log = store.log;
const session = newSessionId(), call = newCallId();
const actor = { sub: "s", iss: "i", name: "u@x", groups_hash: "00", kind: "human" } as const;
await log.append([{ type: "session.open", actor, session, connection: "m", rule: "r", host: "h", client: "c" }]);
await log.append([{ type: "call.decided", actor, session, call, connection: "m", protocol: "http", method: "POST", path: "/x", operation: { kind: "chat" }, verdict: "allow", policy: "p", payloads: {request: {c:"x", len: 2}} }], [{ call, field: "request", seq: 0, bytes: Buffer.from("hi"), salt: Buffer.alloc(32) }]);
await log.append([{ type: "call.answered", actor, session, call, connection: "m", status: 200, duration_ms: 1, bytes: {request:2,delivered:3}, outcome: "complete", payloads: {delivered: {c:"x", len: 3}} }], [{ call, field: "delivered", seq: 0, bytes: Buffer.from([255,1,2]), salt: Buffer.alloc(32) }]);
console.log(await store.reader.call(call), await store.reader.calls({} as any, 10, undefined), await store.reader.session(session));
for await (const b of exportJsonl(store.reader.export({sinceMs:0, untilMs: 1e14}, true))) process.stdout.write(b);
for await (const b of exportCsv(store.reader, {} as any)) process.stdout.write(b);
await store.close();
}
