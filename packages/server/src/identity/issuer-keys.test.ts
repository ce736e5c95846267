import { HoopishError } from "@hoopish/protocol";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createIdentity } from "./identity.ts";
import { GRACE_MS, MAX_AGE_MS, RETRY_MS, RETRY_WITH_KEYS_MS, UNKNOWN_KID_COOLDOWN_MS } from "./issuer-keys.ts";
import type { Identity, Principal } from "./principal.ts";
import { goodClaims, IssuerStandIn, makeSigner, type Signer, sendJson, sign } from "./testing/stand-in.ts";

let one: Signer;
let two: Signer;
let issuer: IssuerStandIn;
let identity: Identity;
let now: number;

beforeAll(async () => {
  one = await makeSigner("ES256", "one");
  two = await makeSigner("ES256", "two");
});
beforeEach(async () => {
  now = Date.parse("2026-11-23T08:00:00Z");
  issuer = await IssuerStandIn.start(one);
  identity = identityOf();
});
afterEach(() => issuer.stop());

const identityOf = (changes: Parameters<IssuerStandIn["config"]>[0] = {}, fetchTimeoutMs = 5_000): Identity =>
  createIdentity([issuer.config(changes)], { clockToleranceSeconds: 30, now: () => now, fetchTimeoutMs });

/** A token that was never seen before: what has been verified a moment ago is not verified again. */
let serial = 0;
const use = async (signer: Signer, kid: string = signer.kid): Promise<Principal> => {
  serial += 1;
  return identity.verify(await sign({ ...goodClaims(issuer.url, now), jti: String(serial) }, signer, { kid }));
};
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "let in",
    (error: unknown) => (error instanceof HoopishError ? error.code : String(error)),
  );

describe("the issuer's keys", () => {
  it("are fetched when first needed, once, however many ask", async () => {
    await Promise.all(Array.from({ length: 20 }, () => use(one)));
    await use(one);
    expect(issuer.requests).toEqual(["/.well-known/openid-configuration", "/jwks"]);
  });

  it("are fetched again when they are old; the discovery document is not", async () => {
    await use(one);
    now += MAX_AGE_MS - 1;
    await use(one);
    expect(issuer.keyRequests).toBe(1);
    now += 1;
    await use(one);
    expect(issuer.requests).toEqual(["/.well-known/openid-configuration", "/jwks", "/jwks"]);
  });

  it("that have moved are found again by the discovery document", async () => {
    await use(one);
    issuer.overrides.set("/jwks", (response) => response.writeHead(404).end());
    issuer.overrides.set("/moved", (response) => sendJson(response, { keys: [two.publicJwk] }));
    issuer.overrides.set("/.well-known/openid-configuration", (response) =>
      sendJson(response, { issuer: issuer.url, jwks_uri: `${issuer.url}/moved` }),
    );
    now += MAX_AGE_MS;
    await expect(codeOf(use(one))).resolves.toBe("let in");
    now += RETRY_WITH_KEYS_MS;
    await expect(codeOf(use(two))).resolves.toBe("let in");
  });

  it("that are withdrawn end with their age", async () => {
    await use(one);
    issuer.signers = [two];
    await expect(codeOf(use(one))).resolves.toBe("let in");
    now += MAX_AGE_MS;
    await expect(codeOf(use(one))).resolves.toBe("unauthenticated");
  });

  it("that are new are found at once", async () => {
    await use(one);
    issuer.signers = [one, two];
    await expect(codeOf(use(two))).resolves.toBe("let in");
    expect(issuer.keyRequests).toBe(2);
  });

  it("may be named in the configuration: then nothing is discovered", async () => {
    identity = identityOf({ jwksUri: `${issuer.url}/jwks` });
    await use(one);
    expect(issuer.requests).toEqual(["/jwks"]);
  });
});

describe("a hundred tokens with keys that nobody knows", () => {
  it("cause one more question, and another when the pause is over", async () => {
    await use(one);
    const guesses = Array.from({ length: 100 }, (_, index) => codeOf(use(two, `guess-${index}`)));
    expect(new Set(await Promise.all(guesses))).toEqual(new Set(["unauthenticated"]));
    for (let index = 0; index < 100; index += 1) await codeOf(use(two, `more-${index}`));
    expect(issuer.keyRequests).toBe(2);
    now += UNKNOWN_KID_COOLDOWN_MS;
    await codeOf(use(two));
    await codeOf(use(two));
    expect(issuer.keyRequests).toBe(3);
  });

  it("cause no more when the issuer fails at it, and those who are known go on", async () => {
    await use(one);
    issuer.down = true;
    for (let index = 0; index < 20; index += 1) {
      await expect(codeOf(use(two, `guess-${index}`))).resolves.toBe("unauthenticated");
    }
    await expect(codeOf(use(one))).resolves.toBe("let in");
    // The question for keys; the failure sends the next attempt back to the discovery document.
    expect(issuer.keyRequests).toBe(2);
  });

  it("cause none while the issuer is left alone after a failure", async () => {
    await use(one);
    issuer.down = true;
    now += MAX_AGE_MS;
    await use(one);
    expect(issuer.keyRequests).toBe(2);
    await expect(codeOf(use(two, "guess"))).resolves.toBe("unauthenticated");
    expect(issuer.requests).toHaveLength(3);
  });

  it("do not keep a new key out for longer than the pause", async () => {
    await use(one);
    await codeOf(use(two, "guess"));
    issuer.signers = [one, two];
    await expect(codeOf(use(two))).resolves.toBe("unauthenticated");
    now += UNKNOWN_KID_COOLDOWN_MS;
    await expect(codeOf(use(two))).resolves.toBe("let in");
  });
});

describe("an issuer that is away", () => {
  it("from the start: nobody is let in, and nobody is called a liar", async () => {
    issuer.down = true;
    const error = await use(one).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "identity_unavailable", message: `the keys of ${issuer.url} cannot be had` });
    for (let index = 0; index < 10; index += 1) await expect(codeOf(use(one))).resolves.toBe("identity_unavailable");
    expect(issuer.requests).toHaveLength(1);
    await expect(identity.ready()).resolves.toEqual({ ok: false, detail: `no keys of ${issuer.url}` });

    issuer.down = false;
    now += RETRY_MS;
    await expect(codeOf(use(one))).resolves.toBe("let in");
    await expect(identity.ready()).resolves.toEqual({ ok: true, detail: `keys of ${issuer.url} are 0 min old` });
  });

  it("later: its last keys go on for the grace, it is asked now and then, and then it is over", async () => {
    await use(one);
    issuer.down = true;
    now += MAX_AGE_MS;
    for (let index = 0; index < 10; index += 1) await expect(codeOf(use(one))).resolves.toBe("let in");
    expect(issuer.keyRequests).toBe(2);
    now += RETRY_WITH_KEYS_MS;
    await use(one);
    expect(issuer.requests).toHaveLength(4);
    await expect(identity.ready()).resolves.toMatchObject({
      ok: true,
      detail: expect.stringContaining("does not answer"),
    });

    now += GRACE_MS - RETRY_WITH_KEYS_MS - 1;
    await expect(codeOf(use(one))).resolves.toBe("let in");
    now += RETRY_WITH_KEYS_MS + 1;
    await expect(codeOf(use(one))).resolves.toBe("identity_unavailable");
    await expect(identity.ready()).resolves.toMatchObject({ ok: false });
    issuer.down = false;
    now += RETRY_WITH_KEYS_MS;
    await expect(codeOf(use(one))).resolves.toBe("let in");
  });

  it("a clock that is set back does not make old keys young", async () => {
    await use(one);
    issuer.signers = [two];
    now -= 10 * MAX_AGE_MS;
    await expect(codeOf(use(one))).resolves.toBe("unauthenticated");
  });

  it("says in the cause, for the log, what went wrong", async () => {
    const causeOf = async (): Promise<unknown> => {
      const error: unknown = await use(one).catch((thrown: unknown) => thrown);
      return error instanceof HoopishError && error.cause instanceof Error ? error.cause.message : error;
    };
    const document = `${issuer.url}/.well-known/openid-configuration`;
    issuer.down = true;
    await expect(causeOf()).resolves.toBe(`${document} answered 503`);
    await issuer.stop();
    now += RETRY_MS;
    await expect(causeOf()).resolves.toBe(`${document} cannot be reached (ECONNREFUSED)`);
  });

  it("slow to death: given up after the limit, in the head and in the body", async () => {
    identity = identityOf({ jwksUri: `${issuer.url}/jwks` }, 100);
    issuer.overrides.set("/jwks", () => undefined);
    await expect(codeOf(use(one))).resolves.toBe("identity_unavailable");
    issuer.overrides.set("/jwks", (response) => response.writeHead(200).write("{"));
    now += RETRY_MS;
    await expect(codeOf(use(one))).resolves.toBe("identity_unavailable");
  });
});

describe("answers that are not to be believed", () => {
  const discovery = "/.well-known/openid-configuration";
  const answers: [
    string,
    string,
    (reply: (body: unknown) => void, status: (code: number, location?: string) => void) => void,
  ][] = [
    [
      "a discovery document of another issuer",
      discovery,
      (reply) => reply({ issuer: "https://evil.example", jwks_uri: `${issuer.url}/jwks` }),
    ],
    [
      "one with a slash more",
      discovery,
      (reply) => reply({ issuer: `${issuer.url}/`, jwks_uri: `${issuer.url}/jwks` }),
    ],
    ["one without keys", discovery, (reply) => reply({ issuer: issuer.url })],
    ["keys from a file", discovery, (reply) => reply({ issuer: issuer.url, jwks_uri: "file:///etc/passwd" })],
    ["a list for a document", discovery, (reply) => reply([])],
    ["a redirect of the document", discovery, (_reply, status) => status(302, "/jwks")],
    ["a redirect of the keys", "/jwks", (_reply, status) => status(301, "/other")],
    ["keys that are created", "/jwks", (_reply, status) => status(201)],
    ["no keys", "/jwks", (reply) => reply({ keys: [] })],
    ["keys that are no list", "/jwks", (reply) => reply({ keys: { 0: {} } })],
    ["a thousand keys", "/jwks", (reply) => reply({ keys: Array(1_000).fill(one.publicJwk) })],
    ["keys that are texts", "/jwks", (reply) => reply({ keys: ["x"] })],
    ["a body without end", "/jwks", (reply) => reply({ keys: [one.publicJwk], pad: "x".repeat(2_000_000) })],
  ];
  it.each(answers)("%s", async (_what, path, answer) => {
    issuer.overrides.set("/other", (response) => sendJson(response, { keys: [one.publicJwk] }));
    issuer.overrides.set(path, (response) =>
      answer(
        (body) => sendJson(response, body),
        (code, location) => response.writeHead(code, location === undefined ? {} : { location }).end('{"keys":[]}'),
      ),
    );
    await expect(codeOf(use(one))).resolves.toBe("identity_unavailable");
    expect(issuer.requests).not.toContain("/other");
  });

  it("a broken answer later does not take the good keys away", async () => {
    await use(one);
    issuer.overrides.set("/jwks", (response) => sendJson(response, { keys: [] }));
    now += MAX_AGE_MS;
    await expect(codeOf(use(one))).resolves.toBe("let in");
  });

  it.each([
    ["an https issuer, to plain http on this machine", "https://login.bank.example", "http://127.0.0.1:1/jwks"],
    ["an http issuer on this machine, to plain http elsewhere", "http://127.0.0.1:1", "http://192.0.2.1/jwks"],
    ["an https issuer, to plain http elsewhere", "https://login.bank.example", "http://login.bank.example/jwks"],
  ])("%s: does not send us there", async (_what, iss, jwksUri) => {
    const asked: string[] = [];
    const fetch = async (url: string | URL | Request): Promise<Response> => {
      asked.push(String(url));
      return Response.json({ issuer: iss, jwks_uri: jwksUri });
    };
    const token = await sign(goodClaims(iss, now), one);
    identity = createIdentity([issuer.config({ issuer: iss })], { clockToleranceSeconds: 30, now: () => now, fetch });
    await expect(codeOf(identity.verify(token))).resolves.toBe("identity_unavailable");
    expect(asked).toEqual([`${iss}/.well-known/openid-configuration`]);
  });

  it("an issuer with a path is asked below it, without a double slash", async () => {
    const asked: string[] = [];
    const fetch = async (url: string | URL | Request): Promise<Response> => {
      asked.push(String(url));
      return new Response(null, { status: 404 });
    };
    const iss = "https://login.bank.example/tenant/";
    identity = createIdentity([issuer.config({ issuer: iss })], { clockToleranceSeconds: 30, now: () => now, fetch });
    await codeOf(identity.verify(await sign(goodClaims(iss, now), one)));
    expect(asked).toEqual(["https://login.bank.example/tenant/.well-known/openid-configuration"]);
  });
});
