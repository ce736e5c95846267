import { applicant } from "@hoopish/fixtures";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { exportLog } from "../world/log.ts";
import { type Connected, World } from "../world/world.ts";

/** Realtime model APIs: a WebSocket whose messages are judged, masked and recorded. */

const RULES = `
  - { name: scientists, connections: [chat, small], groups: [data-science], then: allow }
  - { name: no-files, connections: ["*"], when: 'call.kind == "chat" && request.json != null && has(request.json.type) && request.json.type == "file.upload"', then: block, message: "Files stay here." }`;
const CONNECTIONS = `
  - { name: chat, agent: edge-1, protocol: http, api: openai }
  - { name: small, agent: edge-1, protocol: http, api: openai, uninspectable: allow }`;
const EXTRA = `masking:
  - { name: answers, connections: ["*"], direction: response, detect: [US_SSN, EMAIL], action: redact }
  - { name: cards, connections: ["*"], direction: request, detect: [CREDIT_CARD], action: redact }
`;

let world: World;
let chat: Connected;
let small: Connected;
beforeAll(async () => {
  world = await World.start({ rules: RULES, connections: CONNECTIONS, serverExtra: EXTRA });
  for (const account of ["scientist", "audit", "platform"] as const) await world.signIn(account);
  chat = await world.connect("scientist", "chat");
  small = await world.connect("scientist", "small");
}, 60_000);
afterAll(() => world?.close());

interface Talk {
  readonly socket: WebSocket;
  readonly texts: string[];
  readonly binaries: Buffer[];
  readonly ended: Promise<{ code: number; reason: string }>;
}
async function talk(to: Connected, path = "/v1/realtime?model=text", options: object = {}): Promise<Talk> {
  const socket = new WebSocket(`ws://127.0.0.1:${to.port}${path}`, ["realtime"], options);
  const texts: string[] = [];
  const binaries: Buffer[] = [];
  socket.on("message", (data: Buffer, isBinary: boolean) => {
    if (isBinary) binaries.push(data);
    else texts.push(data.toString("utf8"));
  });
  const ended = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  await new Promise((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("error", reject);
  });
  return { socket, texts, binaries, ended };
}
const refusedWith = async (to: Connected, path: string, options: object = {}): Promise<string> =>
  ((await talk(to, path, options).catch((thrown) => thrown)) as Error).message;

describe("a realtime conversation", () => {
  it("comes token by token, with what is personal masked across events", async () => {
    const { socket, texts, ended } = await talk(chat);
    expect(socket.protocol).toBe("realtime");
    socket.send(JSON.stringify({ type: "response.create", input: "Tell me about applicant 42." }));
    await expect.poll(() => texts.at(-1)).toContain("response.done");
    const events = texts.map((text) => JSON.parse(text) as { type: string; delta?: string });
    const said = events.map(({ delta }) => delta ?? "").join("");
    expect(events.filter(({ type }) => type === "response.output_text.delta").length).toBeGreaterThan(20);
    expect(said).toContain("[US_SSN]");
    expect(said).toContain("[EMAIL]");
    const { ssn, email } = applicant(42);
    for (const text of texts) for (const value of [ssn, email]) expect(text).not.toContain(value);
    expect(said).not.toContain(ssn);
    socket.close(1000, "done");
    expect((await ended).code).toBe(1000);
  });

  it("is one call in the log, whose payloads are what was said on either side", async () => {
    const { socket, texts, ended } = await talk(chat);
    socket.send("my card is 4111 1111 1111 1111, thanks");
    socket.send("hello");
    // What may still be a card is held until more comes, or the conversation ends.
    await expect.poll(() => texts.join("")).toContain("[CREDIT_CARD]");
    socket.close();
    await ended;
    await expect
      .poll(async () => {
        const log = await exportLog(world);
        const last = log.records.filter(({ type }) => type === "call.answered").at(-1) as unknown as {
          call: string;
          outcome: string;
          request_masked?: object;
        };
        const of = (field: string): string => log.payloads.get(`${last.call} ${field}`)?.toString() ?? "";
        return {
          outcome: last.outcome,
          masked: last.request_masked,
          request: of("request").includes("4111 1111 1111 1111"),
          forwarded: of("forwarded").includes("4111"),
          delivered: of("delivered").includes("[CREDIT_CARD]"),
        };
      })
      .toEqual({ outcome: "complete", masked: { CREDIT_CARD: 1 }, request: true, forwarded: false, delivered: true });
  });

  it("ends where a message of it is not let through", async () => {
    const { socket, texts, ended } = await talk(chat);
    socket.send(JSON.stringify({ type: "file.upload", data: "x" }));
    expect(await ended).toMatchObject({ code: 1008, reason: expect.stringContaining("Files stay here.") });
    expect(texts.join("")).not.toContain("echo");
  });

  it("takes no binary messages, but where the connection says so", async () => {
    const first = await talk(chat);
    first.socket.send(Buffer.from([1, 2, 3]));
    expect((await first.ended).code).toBe(1008);
    const second = await talk(small);
    second.socket.send(Buffer.from([1, 2, 3]));
    await expect.poll(() => second.binaries.length).toBe(1);
    expect(second.binaries[0]).toEqual(Buffer.from([1, 2, 3]));
    second.socket.close();
    await second.ended;
  });

  it("is refused in HTTP before it begins, and the log knows", async () => {
    expect(await refusedWith(chat, "/v1/nowhere")).toContain("502");
    expect(await refusedWith(chat, "/v1/realtime", { headers: { origin: "https://evil.example" } })).toContain("403");
    const { socket } = await talk(chat);
    socket.terminate();
  });

  it("breaks off where the model server does", async () => {
    const { socket, ended } = await talk(chat);
    socket.send("drop");
    expect((await ended).code).not.toBe(1000);
  });

  it("is cut when its session is killed, and the model server's socket with it", async () => {
    const again = await world.connect("scientist", "chat");
    const { socket, ended } = await talk(again);
    socket.send("hello");
    const started = Date.now();
    await world.cli("platform", ["sessions", "kill", again.session, "--reason", "story"]);
    const { code } = await ended;
    expect([1006, 1008, 1011]).toContain(code);
    expect(Date.now() - started).toBeLessThan(3_000);
    await expect.poll(() => world.model?.stats().inFlight).toBe(0);
  });
});
