import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import type { LogLine } from "../entry.ts";
import {
  answered,
  callId,
  decided,
  EVERY_TYPE,
  hexOf,
  interrupted,
  logLines,
  OPEN,
  SESSION,
} from "../testing/log-lines.ts";
import { Views } from "../views.ts";

interface Event {
  readonly class_uid: number;
  readonly activity_id: number;
  readonly category_uid: number;
  readonly type_uid: number;
  readonly severity_id: number;
  readonly time: number;
  readonly action_id?: number;
  readonly disposition_id?: number;
  readonly metadata: {
    readonly uid: string;
    readonly sequence: number;
    readonly event_code: string;
    readonly [x: string]: unknown;
  };
  readonly unmapped?: Readonly<Record<string, unknown>>;
  readonly [x: string]: unknown;
}

function eventsOf(lines: readonly LogLine[]): Event[] {
  const views = new Views(["ocsf.ndjson"], { version: "0.1.0", origin: "gateway.bank.example/hoopish" });
  for (const line of lines) views.push(line);
  views.end();
  const text = views.take("ocsf.ndjson").toString();
  expect(text === "" || text.endsWith("\n")).toBe(true);
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Event);
}

const callEvent = (...drafts: readonly object[]): Event => {
  const events = eventsOf(logLines(drafts)).filter(({ class_uid }) => class_uid === 6003);
  expect(events).toHaveLength(1);
  return events[0] as Event;
};

/** Members that the specification requires of each class, and activities that it has: also where no schema is at hand. */
const CLASSES: Readonly<
  Record<number, { category: number; activities: readonly number[]; required: readonly string[] }>
> = {
  2004: { category: 2, activities: [1, 2, 3], required: ["finding_info"] },
  3002: { category: 3, activities: [1, 2, 3, 4, 5, 6, 7], required: ["user", "service"] },
  3003: { category: 3, activities: [1, 2], required: ["user", "privileges"] },
  3004: { category: 3, activities: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13], required: ["entity"] },
  6002: { category: 6, activities: [1, 2, 3, 4, 5, 6, 7, 8], required: ["app"] },
  6003: { category: 6, activities: [1, 2, 3, 4], required: ["actor", "api", "src_endpoint"] },
  6005: { category: 6, activities: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], required: ["actor", "src_endpoint", "database"] },
};

const EXPECTED: Readonly<Record<string, readonly (readonly [classUid: number, activityId: number])[]>> = {
  "server.started": [[6002, 3]],
  "server.stopped": [[6002, 4]],
  "server.recovered": [[6002, 99]],
  "log.gap": [[2004, 1]],
  "policy.loaded": [[3004, 10]],
  "key.rotated": [[3004, 3]],
  "agent.invited": [[3004, 1]],
  "agent.enrolled": [[3004, 6]],
  "agent.connected": [[3004, 10]],
  "agent.disconnected": [[3004, 11]],
  "agent.revoked": [[3004, 7]],
  "agent.refused": [[3002, 1]],
  "auth.login": [[3002, 1]],
  "auth.refused": [
    [3002, 1],
    [3002, 1],
    [3003, 1],
  ],
  "session.open": [[3003, 1]],
  "session.close": [[3003, 99]],
  "call.answered": [
    [6003, 99],
    [6003, 99],
  ],
  "call.interrupted": [[6003, 99]],
  "audit.searched": [[6005, 4]],
  "audit.exported": [[6005, 1]],
  "audit.replayed": [[6005, 1]],
  "retention.purged": [[6005, 7]],
  "retention.held": [[6005, 99]],
  "retention.released": [[6005, 99]],
};

describe("every record", () => {
  const lines = logLines(EVERY_TYPE, 40);
  const events = eventsOf(lines);

  it("is an event of its class and activity; a decision is told with its end", () => {
    const found: Record<string, [number, number][]> = {};
    for (const { class_uid, activity_id, metadata } of events) {
      found[metadata.event_code] = [...(found[metadata.event_code] ?? []), [class_uid, activity_id]];
    }
    expect(found).toEqual(EXPECTED);
  });

  it("has type_uid = class_uid × 100 + activity_id, its class's category and required members", () => {
    for (const event of events) {
      const known = CLASSES[event.class_uid];
      expect(event.type_uid, event.metadata.event_code).toBe(event.class_uid * 100 + event.activity_id);
      expect(event.category_uid).toBe(known?.category);
      expect([...(known?.activities ?? []), 99]).toContain(event.activity_id);
      expect(Object.keys(event)).toEqual(expect.arrayContaining([...(known?.required ?? []), "severity_id", "time"]));
      expect(event.metadata).toMatchObject({ version: "1.8.0", product: { name: "hoopish", version: "0.1.0" } });
    }
  });

  it("is named by index, leaf hash and id, each once", () => {
    for (const { metadata, time } of events) {
      const line = lines[metadata.sequence - 40] as LogLine;
      const record = JSON.parse(line.leaf) as { id: string; time: string; type: string };
      expect(metadata).toMatchObject({ uid: hexOf(line), event_code: record.type, original_event_uid: record.id });
      expect(time).toBe(Date.parse(record.time));
    }
    expect(new Set(events.map(({ metadata }) => metadata.uid)).size).toBe(events.length);
    const told = events.map(({ metadata }) => metadata.sequence);
    const silent = lines
      .filter(({ index }) => !told.includes(index))
      .map(({ leaf }) => JSON.parse(leaf).type as string);
    expect(silent).toEqual(["call.decided", "call.decided", "call.decided"]);
  });
});

describe("a call", () => {
  it("is one event, with what its two records and its session's tell", () => {
    const lines = logLines([OPEN, decided(1), answered(1)]);
    const event = eventsOf(lines).at(-1);
    expect(event).toMatchObject({
      activity_name: "Inference",
      action_id: 1,
      status_id: 1,
      status_code: "200",
      duration: 12,
      actor: { user: { name: "ada@bank.example", type_id: 1 }, session: { uid: SESSION } },
      src_endpoint: { hostname: "laptop-7" },
      dst_endpoint: { svc_name: "model-x" },
      api: { operation: "chat", request: { uid: callId(1) }, response: { code: 200 } },
      ai_model: { name: "llama", ai_provider: "model-x" },
      message_context: { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 },
      policy: { name: "scientists", is_applied: true },
      http_request: { http_method: "POST", url: { path: "/v1/chat/completions" }, body_length: 20 },
      http_response: { code: 200, body_length: 300 },
      metadata: { profiles: ["ai_operation", "security_control"], correlation_uid: callId(1), uid: hexOf(lines[2]) },
      unmapped: { reason: "Q3 validation", rows: 3, decided: { index: 1, leaf_hash: hexOf(lines[1]) } },
    });
  });

  it.each([
    ["allowed", {}, {}, 1, 1, 1],
    ["blocked by a rule", { verdict: "block" }, { status: 403, outcome: "refused", code: "policy_blocked" }, 2, 2, 2],
    ["masked in the answer", {}, { masked: { EMAIL: 2 } }, 4, 11, 1],
    ["masked in the request", { masked: { US_SSN: 1 } }, {}, 4, 11, 1],
    ["looked through, nothing found", { masked: { US_SSN: 0 } }, { masked: {} }, 1, 1, 1],
    ["held and approved", { verdict: "hold" }, {}, 1, 8, 1],
    ["held and denied", { verdict: "hold" }, { status: 403, outcome: "refused", code: "approval_denied" }, 2, 2, 2],
    ["cut off because access ended", {}, { outcome: "revoked", code: "session_closed" }, 2, 24, 2],
    ["refused because its answer could not be inspected", {}, { status: 502, outcome: "blocked" }, 2, 2, 2],
    ["broken by the model", {}, { status: 502, outcome: "upstream_failed", code: "upstream_failed" }, 1, 1, 2],
    ["answered with an error by the model", {}, { status: 404 }, 1, 1, 2],
    ["left by its client before a status", {}, { status: 0, outcome: "client_gone" }, 1, 1, 2],
  ])("%s", (_name, decision, end, actionId, dispositionId, statusId) => {
    const event = callEvent(decided(1, decision), answered(1, end));
    expect(event).toMatchObject({ action_id: actionId, disposition_id: dispositionId, status_id: statusId });
    expect(event.severity_id).toBe(actionId === 2 ? 2 : 1);
    if ((end as { status?: number }).status === 0) expect(event).not.toHaveProperty("http_response");
  });

  it("that was decided before the range says what is known, and does not guess", () => {
    const event = callEvent(answered(1));
    expect(event).toMatchObject({
      action_id: 0,
      status_id: 1,
      api: { operation: "unknown" },
      src_endpoint: { name: "unknown" },
    });
    for (const name of ["policy", "ai_model", "http_request"]) expect(event).not.toHaveProperty(name);
    expect(event.unmapped).not.toHaveProperty("decided");
  });

  it("that a crash cut off failed, and says how much came", () => {
    const event = callEvent(decided(1), interrupted(1));
    expect(event).toMatchObject({ status_id: 2, unmapped: { outcome: "interrupted", delivered_bytes: 11 } });
  });

  it("that is still open is no event yet", () => {
    expect(eventsOf(logLines([decided(1)]))).toEqual([]);
  });

  it("is not mixed up with others that run at the same time", () => {
    const paths = ["/a", "/b", "/c"];
    const events = eventsOf(
      logLines([...paths.map((path, n) => decided(n, { path })), answered(2), answered(0), answered(1)]),
    );
    expect(events.map(({ http_request }) => (http_request as { url: { path: string } }).url.path)).toEqual([
      "/c",
      "/a",
      "/b",
    ]);
  });

  it("takes bounded memory: of more open calls than are kept, the oldest are told without their decision", () => {
    const many = Array.from({ length: 10_001 }, (_, n) => decided(n));
    const events = eventsOf(logLines([...many, answered(0), answered(1), answered(10_000)]));
    expect(events.map(({ action_id }) => action_id)).toEqual([0, 1, 1]);
  });
});

describe("a type that this program does not know", () => {
  it("is a Base Event that holds it all", () => {
    const [event] = eventsOf(logLines([{ type: "moon.landed", who: "eagle" }]));
    expect(event).toMatchObject({ class_uid: 0, category_uid: 0, activity_id: 99, type_uid: 99 });
    expect(event?.unmapped).toEqual({ "moon.landed": { who: "eagle" } });
  });

  it.each([
    ["approval.requested", 1],
    ["approval.granted", 99],
    ["approval.denied", 99],
  ])("%s is Entity Management", (type, activityId) => {
    const approval = `apr_${"3".repeat(32)}`;
    const [event] = eventsOf(logLines([{ type, approval, session: SESSION, call: callId(1), reason: "bulk" }]));
    expect(event).toMatchObject({
      class_uid: 3004,
      activity_id: activityId,
      entity: { uid: approval, type: "Approval" },
    });
    expect(event?.metadata.correlation_uid).toBe(callId(1));
  });
});

const SCHEMAS = fileURLToPath(new URL("../../../../../../../shared/data/ocsf", import.meta.url));
/** Published, but not among the schemas at hand: checked above by its required members. */
const WITHOUT_SCHEMA = [6005];

describe.skipIf(!existsSync(SCHEMAS))(`OCSF's own schemas (skipped where ${SCHEMAS} is absent)`, () => {
  const validators = new Map<number, ValidateFunction>();
  for (const file of existsSync(SCHEMAS) ? readdirSync(SCHEMAS) : []) {
    const schema = JSON.parse(readFileSync(`${SCHEMAS}/${file}`, "utf8")) as {
      properties: { class_uid: { const: number } };
    };
    validators.set(schema.properties.class_uid.const, new Ajv2020({ strict: false, allErrors: true }).compile(schema));
  }
  const mistakes = (event: Event): unknown => {
    const validate = validators.get(event.class_uid);
    if (validate === undefined) return "no schema";
    return validate(event)
      ? []
      : validate.errors?.map(({ instancePath, message, params }) => ({ instancePath, message, params }));
  };

  it("accept an event of every type", () => {
    const events = eventsOf(logLines([...EVERY_TYPE, { type: "approval.requested", approval: "apr_1" }]));
    const checked = events.filter(({ class_uid }) => !WITHOUT_SCHEMA.includes(class_uid));
    for (const event of checked) expect(mistakes(event), event.metadata.event_code).toEqual([]);
    expect(new Set(checked.map(({ class_uid }) => class_uid))).toEqual(new Set([2004, 3002, 3003, 3004, 6002, 6003]));
  });

  it("accept a call however it went", () => {
    const ends = [
      {},
      { status: 0, outcome: "client_gone", tokens: undefined },
      { masked: { EMAIL: 1 }, uninspected: ["x"] },
    ];
    const decisions = [
      {},
      { verdict: "block", rule: undefined },
      { method: "QUERY" },
      { operation: { kind: "other" } },
    ];
    for (const end of ends) {
      for (const decision of decisions) expect(mistakes(callEvent(decided(1, decision), answered(1, end)))).toEqual([]);
      expect(mistakes(callEvent(answered(1, end)))).toEqual([]);
    }
  });

  it("would see a mistake", () => {
    const event = callEvent(decided(1), answered(1));
    expect(mistakes({ ...event, invented: 1 })).not.toEqual([]);
    expect(mistakes({ ...event, src_endpoint: {} })).not.toEqual([]);
  });
});
