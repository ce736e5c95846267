import { type CallStory, HoopishError, isKept, type PolicyExplanation, type StoredRecord } from "@hoopish/protocol";
import { Hono } from "hono";
import { recordsOfSession } from "../evidence/records-of-types.ts";
import { readBody } from "../operations/read-body.ts";
import { type DecidedRecord, recordedQuestion } from "../policy/recorded-question.ts";
import { searched } from "./audit.ts";
import { type ConsoleEnv, type ConsolePorts, demand } from "./context.ts";
import { visibleCall } from "./visible-calls.ts";

/** Bodies beyond it are explained without them, and it is said. */
const MAX_BODY_BYTES = 4_194_304;

/** Why a call was decided so. The rules that are in force are asked again; it is said where others decided. */
export function explainRoutes(ports: ConsolePorts): Hono<ConsoleEnv> {
  const routes = new Hono<ConsoleEnv>();
  routes.get("/audit/calls/:id/explanation", async (context) => {
    const caller = context.get("caller");
    const story = await visibleCall(caller, context.req.param("id"), ports);
    // An explanation of somebody's own call tells him nothing of rules that are about others.
    if (story.call.user !== caller.principal.user) demand(caller, "auditor");
    await searched(caller, { call: story.call.id, explain: "true" }, 1, ports);
    return context.json(await explain(story, ports));
  });
  return routes;
}

async function explain(story: CallStory, ports: ConsolePorts): Promise<PolicyExplanation> {
  const record = story.records
    .map(({ leaf }) => JSON.parse(leaf) as StoredRecord)
    .find((one): one is DecidedRecord => one.type === "call.decided");
  const actor = record?.actor;
  if (record === undefined || actor === undefined || actor.kind === "agent") {
    throw new HoopishError("not_found", "this call was never decided");
  }
  const connection = ports.connections.find(({ name }) => name === record.connection);
  if (connection === undefined) {
    throw new HoopishError("not_found", `the connection ${record.connection} is not in the configuration any more`);
  }
  const policy = ports.policy();
  const seen = ports.seen.find(actor.name, ports.now());
  const opened = (await recordsOfSession(ports.reader, story.call.session, "session.open"))[0];
  const letIn = [record.rule, opened?.rule];
  const guessed = policy.rules.filter(({ name }) => letIn.includes(name)).flatMap(({ groups }) => groups);
  const groups = seen?.groups ?? [...new Set(guessed)];
  const json = await jsonBody(story, ports);
  const question = recordedQuestion(record, actor, connection, {
    groups,
    ...(opened === undefined
      ? {}
      : {
          session: {
            reason: opened.reason,
            ticket: opened.ticket,
            ageMs: Date.parse(record.time) - Date.parse(opened.time),
          },
        }),
    json,
  });
  return {
    ...{ call: story.call.id, time: record.time, user: actor.name, connection: connection.name },
    decided: {
      verdict: record.verdict,
      ...(record.rule === undefined ? {} : { rule: record.rule }),
      ...(record.code === undefined ? {} : { code: record.code }),
    },
    policy: { recorded: record.policy, asked: policy.hash },
    groups: { names: groups, from: seen === undefined ? "guessed" : "token" },
    body: json !== undefined,
    rules: policy.explain(question),
  };
}

/** The request's body where it is kept, whole and strict JSON; undefined otherwise. */
async function jsonBody({ call, payloads }: CallStory, ports: ConsolePorts): Promise<unknown> {
  const payload = payloads.find(({ field }) => field === "request");
  if (payload === undefined || !isKept(payload.state) || payload.bytes > MAX_BODY_BYTES) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of ports.reader.payload(call.id, "request")) chunks.push(chunk);
  const body = readBody(Buffer.concat(chunks), true);
  return body.state === "json" ? body.value : undefined;
}
