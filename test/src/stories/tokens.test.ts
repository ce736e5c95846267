import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportLog } from "../world/log.ts";
import { World } from "../world/world.ts";

/** Forged and stale tokens against the running server, at the control API and at the tunnel's door. */

let world: World;
beforeAll(async () => {
  world = await World.start();
  await world.signIn("audit");
});
afterAll(() => world?.close());

const CLAIMS = {
  sub: "u-scientist",
  aud: "hoopish",
  client_id: "hoopish-cli",
  email: "scientist@bank.example",
  groups: ["data-science"],
};

async function whoami(token: string): Promise<number> {
  const answer = await fetch(`${world.serverUrl}/api/v1/whoami`, { headers: { authorization: `Bearer ${token}` } });
  await answer.arrayBuffer();
  return answer.status;
}

async function connectWith(token: string): Promise<{ code: number | null; stderr: string }> {
  return world.cli("risk1", ["connect", "chat", "--port", "0"], { env: { HOOPISH_TOKEN: token } });
}

const nowS = (): number => Math.floor(Date.now() / 1000);

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

describe("a token", () => {
  it("is taken when it is good", async () => {
    expect(await whoami(await world.idp.signToken(CLAIMS))).toBe(200);
  });
  const forgeries: readonly [string, () => Promise<string>][] = [
    ["expired", () => world.idp.signToken({ ...CLAIMS, iat: nowS() - 7200, exp: nowS() - 3600 })],
    ["of a foreign issuer", () => world.idp.signToken({ ...CLAIMS, iss: "http://127.0.0.1:1/elsewhere" })],
    ["for another audience", () => world.idp.signToken({ ...CLAIMS, aud: "payroll" })],
    ["of another client", () => world.idp.signToken({ ...CLAIMS, client_id: "payroll-app" })],
    ["not valid yet", () => world.idp.signToken({ ...CLAIMS, nbf: nowS() + 3600 })],
    [
      "whose groups are elsewhere (overage)",
      () => world.idp.signToken({ ...CLAIMS, groups: undefined, _claim_names: { groups: "src1" } }),
    ],
    [
      "with alg none",
      async () =>
        `${encode({ alg: "none", typ: "at+jwt" })}.${encode({ ...CLAIMS, iss: world.idp.issuer, iat: nowS(), exp: nowS() + 600 })}.`,
    ],
    ["unsigned", async () => (await world.idp.signToken(CLAIMS)).split(".").slice(0, 2).join(".")],
    ["truncated", async () => (await world.idp.signToken(CLAIMS)).slice(0, -12)],
    [
      "with changed claims",
      async () => {
        const [header, , signature] = (await world.idp.signToken(CLAIMS)).split(".");
        return `${header}.${encode({ ...CLAIMS, iss: world.idp.issuer, iat: nowS(), exp: nowS() + 600, groups: ["platform-admins"] })}.${signature}`;
      },
    ],
  ];
  it.each(forgeries)("is refused when it is %s, at the API and at the tunnel", async (_name, forge) => {
    const token = await forge();
    expect(await whoami(token)).toBe(401);
    const { code, stderr } = await connectWith(token);
    expect(code).toBe(4);
    expect(stderr).not.toContain(token);
  });

  it("leaves a record of each refusal, and never stands in one", async () => {
    const { records } = await exportLog(world);
    const refused = records.filter(({ type }) => type === "auth.refused");
    expect(refused.length).toBeGreaterThanOrEqual(forgeries.length);
    expect(JSON.stringify(records)).not.toMatch(/eyJ[A-Za-z0-9_-]{20}/);
  });
});

describe("a token that runs out", () => {
  let brief: World;
  beforeAll(async () => {
    // Renewed when a third is left, which is time enough on a busy machine too; the stream below takes twice as long.
    brief = await World.start({ accessTokenTtlSeconds: 9 });
    await brief.signIn("scientist");
  });
  afterAll(() => brief?.close());

  const stream = (base: string, tokens: number, delayMs: number): Promise<Response> =>
    fetch(`${base}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-test-token-delay": String(delayMs) },
      body: JSON.stringify({
        model: "m",
        stream: true,
        max_tokens: tokens,
        messages: [{ role: "user", content: "Tell me about applicant 42." }],
      }),
    });

  it("is renewed in-band: a stream that outlives it is not cut", async () => {
    const chat = await brief.connect("scientist", "chat");
    const answer = await stream(chat.base, 60, 300);
    const text = await answer.text();
    expect(text.trimEnd().endsWith("data: [DONE]")).toBe(true);
    expect(chat.program.events.map((event) => (event as { event: string }).event)).not.toContain("revoked");
    await chat.program.stop("SIGINT");
  });

  it("cannot be renewed: the session ends, the stream is cut, and the log says why", async () => {
    // Time enough for a busy machine to start the command and the stream within it; the stream takes twice as long.
    const token = await brief.idp.signToken({ ...CLAIMS, iat: nowS(), exp: nowS() + 12 });
    const chat = await brief.connect("scientist", "chat", [], { env: { HOOPISH_TOKEN: token } });
    const answer = await stream(chat.base, 60, 400);
    await expect(answer.text()).rejects.toThrow();
    const { code } = await chat.program.ended;
    expect(code).toBe(4);
    await brief.signIn("audit");
    const { records } = await exportLog(brief);
    const closed = records.find((record) => record.type === "session.close" && record.session === chat.session);
    expect(closed?.reason).toMatch(/expired/);
    expect(records.find((record) => record.type === "call.answered" && record.session === chat.session)).toMatchObject({
      outcome: "revoked",
    });
  });
});
