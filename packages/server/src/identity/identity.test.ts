import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSign,
  generateKeyPairSync,
  type JsonWebKey,
} from "node:crypto";
import { HoopishError } from "@hoopish/protocol";
import { exportJWK, exportPKCS8, exportSPKI, importJWK, type JWTPayload } from "jose";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createIdentity } from "./identity.ts";
import type { Identity } from "./principal.ts";
import { goodClaims, IssuerStandIn, makeSigner, type Signer, sendJson, sign } from "./testing/stand-in.ts";

const NOW = Date.parse("2026-11-23T08:00:00Z");
const seconds = NOW / 1_000;

let rsa: Signer;
let ec: Signer;
let foreign: Signer;
let issuer: IssuerStandIn;
let other: IssuerStandIn;
let identity: Identity;

beforeAll(async () => {
  rsa = await makeSigner("RS256", "rsa-1");
  ec = await makeSigner("ES256", "ec-1");
  foreign = await makeSigner("RS256", "foreign-1");
});
beforeEach(async () => {
  issuer = await IssuerStandIn.start(rsa, ec);
  other = await IssuerStandIn.start(foreign);
  const service = other.config({ kind: "service", clientId: undefined, claims: { user: "sub", groups: undefined } });
  identity = createIdentity([issuer.config(), service], { clockToleranceSeconds: 30, now: () => NOW });
  return async () => {
    await issuer.stop();
    await other.stop();
  };
});

const claims = (changes: Record<string, unknown> = {}): JWTPayload => {
  const all: Record<string, unknown> = { ...goodClaims(issuer.url, NOW), ...changes };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
};
const encode = (value: unknown): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** A token made by hand: what a library would refuse to write. */
function rawToken(header: unknown, payload: unknown, key: Signer, pem: string): string {
  const input = `${encode(header)}.${encode(payload)}`;
  expect(key.alg).toBe("RS256");
  return `${input}.${createSign("RSA-SHA256").update(input).sign(pem).toString("base64url")}`;
}

async function refusal(token: string): Promise<HoopishError> {
  const error = await identity.verify(token).then(
    (principal) => expect.fail(`let in: ${JSON.stringify(principal)}`),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(HoopishError);
  const shown = error as HoopishError;
  // No refusal may carry the token, or a claim, into an answer, a log or a trace.
  expect(shown.cause).toBeUndefined();
  const text = `${shown.message} ${shown.hint}`;
  for (const part of [...token.split(".").filter((it) => it.length > 8), "ada@bank.example", "u-1"]) {
    expect(text).not.toContain(part);
  }
  return shown;
}
const refuses = async (token: string, message: string | RegExp): Promise<void> => {
  const error = await refusal(token);
  expect(error.message).toMatch(message);
  expect(error.code).toBe("unauthenticated");
};

describe("a good token", () => {
  it("says who calls", async () => {
    const principal = await identity.verify(await sign(claims({ amr: ["pwd", "otp"] }), rsa));
    expect(principal).toEqual({
      sub: "u-1",
      issuer: issuer.url,
      kind: "human",
      user: "ada@bank.example",
      name: "Ada",
      groups: ["data-science", "all-staff"],
      amr: ["pwd", "otp"],
      expiresAtMs: NOW + 600_000,
    });
    expect(Object.isFrozen(principal) && Object.isFrozen(principal.groups)).toBe(true);
  });

  it.each(["RS256", "PS256", "ES256", "EdDSA"])("is taken with %s", async (alg) => {
    const signer = await makeSigner(alg, "k");
    issuer.signers = [signer];
    await expect(identity.verify(await sign(claims(), signer))).resolves.toMatchObject({ sub: "u-1" });
  });

  it.each(["at+jwt", "application/at+jwt", "AT+JWT", "JWT", undefined])("is taken with typ %s", async (typ) => {
    const token = await sign(claims(), rsa, typ === undefined ? { typ: undefined } : { typ });
    await expect(identity.verify(token)).resolves.toMatchObject({ sub: "u-1" });
  });

  it.each(["azp", "client_id", "appid", "cid"])("may name its client in %s", async (claim) => {
    const token = await sign(claims({ azp: undefined, [claim]: "hoopish-cli" }), rsa);
    await expect(identity.verify(token)).resolves.toMatchObject({ sub: "u-1" });
  });

  it("of a workload needs no user, group or client", async () => {
    const token = await sign(
      { iss: other.url, sub: "repo:bank/scoring", aud: ["a", "hoopish"], exp: seconds + 60, iat: seconds },
      foreign,
      { typ: "JWT" },
    );
    await expect(identity.verify(token)).resolves.toMatchObject({
      kind: "service",
      user: "repo:bank/scoring",
      groups: [],
      name: "repo:bank/scoring",
    });
  });

  it("is verified once in a while, and not after it has expired", async () => {
    let now = NOW;
    identity = createIdentity([issuer.config()], { clockToleranceSeconds: 0, now: () => now });
    const token = await sign(claims({ exp: seconds + 20 }), rsa);
    const first = await identity.verify(token);
    now += 19_000;
    expect(await identity.verify(token)).toBe(first);
    now += 1_000;
    await refuses(token, /^the token expired 0 s ago$/);
  });

  it("is looked at anew after a minute", async () => {
    let now = NOW;
    identity = createIdentity([issuer.config()], { clockToleranceSeconds: 0, now: () => now });
    const token = await sign(claims(), rsa);
    const first = await identity.verify(token);
    now += 60_000;
    const second = await identity.verify(token);
    expect(second).not.toBe(first);
    expect(second).toEqual(first);
  });
});

describe("times", () => {
  it.each<[string, Record<string, unknown>, string | RegExp]>([
    ["expired", { exp: seconds - 42 }, /^the token expired 42 s ago$/],
    ["expired at the edge of the tolerance", { exp: seconds - 30 }, /^the token expired 30 s ago$/],
    ["not yet good", { nbf: seconds + 31 }, /^the token is good only in 31 s$/],
    ["issued in the future", { iat: seconds + 31 }, /^the token was issued 31 s in the future$/],
    ["without exp", { exp: undefined }, /^the token has no exp$/],
    ["without iat", { iat: undefined }, /^the token has no iat$/],
    ["exp as text", { exp: String(seconds + 60) }, /not a number/],
    ["iat as text", { iat: "yesterday" }, /not a number|does not say when/],
    ["exp beyond all time", { exp: 1e300 }, /^the token's expiry is not a time$/],
    ["exp null", { exp: null }, /not a number/],
  ])("%s: refused", async (_what, changes, message) => {
    await refuses(await sign(claims(changes), rsa), message);
  });

  it.each<[string, Record<string, unknown>]>([
    ["expired within the tolerance", { exp: seconds - 29 }],
    ["nbf within the tolerance", { nbf: seconds + 30 }],
    ["iat within the tolerance", { iat: seconds + 30 }],
    ["old, but not expired", { iat: seconds - 86_400 }],
  ])("%s: taken", async (_what, changes) => {
    await expect(identity.verify(await sign(claims(changes), rsa))).resolves.toMatchObject({ sub: "u-1" });
  });
});

describe("tokens for others", () => {
  it.each<[string, Record<string, unknown>, string | RegExp]>([
    ["another audience", { aud: "payments" }, /^the token is for another audience$/],
    ["no audience", { aud: undefined }, /^the token has no aud$/],
    ["an audience that holds ours", { aud: "hoopish-other" }, /^the token is for another audience$/],
    ["an audience of another type", { aud: { hoopish: true } }, /^the token is for another audience$/],
    [
      "an ID token (its audience is the client)",
      { aud: "hoopish-cli", nonce: "n" },
      /^the token is for another audience$/,
    ],
    ["an ID token with our audience added", { aud: ["hoopish-cli", "hoopish"], at_hash: "x" }, /^this is an ID token/],
    ["Keycloak's refresh token", { typ: "Refresh" }, /^this is an ID token or another token/],
    ["Cognito's ID token", { token_use: "id" }, /^this is an ID token/],
    ["a logout token", { events: {} }, /^this is a logout or event token/],
    ["a token that is bound to a key", { cnf: { jkt: "x" } }, /^the token is bound to a key/],
    ["another client (azp)", { azp: "wiki" }, /^the token was issued to another client$/],
    ["another client (client_id)", { client_id: "wiki" }, /^the token was issued to another client$/],
    ["no client", { azp: undefined }, /^the token does not say which client/],
    ["a client of another type", { azp: ["hoopish-cli"] }, /^the token was issued to another client$/],
    ["the client itself", { sub: "hoopish-cli" }, /^the token is a client's own, not a person's$/],
  ])("%s: refused", async (_what, changes, message) => {
    await refuses(await sign(claims(changes), rsa), message);
  });

  it.each(["logout+jwt", "dpop+jwt", "secevent+jwt", "id_token+jwt", ""])("typ %s: refused", async (typ) => {
    await refuses(await sign(claims(), rsa, { typ }), /typ/);
  });

  it("Keycloak before 24 writes the nonce into access tokens: taken", async () => {
    const token = await sign(claims({ nonce: "n", typ: "Bearer" }), rsa);
    await expect(identity.verify(token)).resolves.toMatchObject({ sub: "u-1" });
  });

  it("a workload's client must be one of those that are named, and be said", async () => {
    const config = other.config({
      kind: "service",
      clientId: undefined,
      clients: ["ci"],
      claims: { user: "sub", groups: undefined },
    });
    identity = createIdentity([config], { clockToleranceSeconds: 30, now: () => NOW });
    const of = (more: object) =>
      sign({ iss: other.url, sub: "s", aud: "hoopish", exp: seconds + 60, iat: seconds, ...more }, foreign);
    await expect(identity.verify(await of({ azp: "ci" }))).resolves.toMatchObject({ kind: "service" });
    await refuses(await of({ azp: "wiki" }), /another client/);
    await refuses(await of({}), /does not say which client/);
  });
});

describe("one issuer of people and of workloads", () => {
  const claimsOfService = (more: object): JWTPayload => ({
    iss: issuer.url,
    sub: "nightly",
    aud: "hoopish",
    exp: seconds + 60,
    iat: seconds,
    ...more,
  });
  beforeEach(() => {
    const service = issuer.config({
      kind: "service",
      clientId: undefined,
      clients: ["ci"],
      claims: { user: "sub", groups: undefined },
      algorithms: ["ES256"],
    });
    identity = createIdentity([issuer.config(), service], { clockToleranceSeconds: 30, now: () => NOW });
  });

  it("the client says which it is; the keys are fetched once", async () => {
    await expect(identity.verify(await sign(claims(), rsa))).resolves.toMatchObject({
      kind: "human",
      user: "ada@bank.example",
    });
    const token = await sign(claimsOfService({ azp: "ci", client_id: "ci" }), ec);
    await expect(identity.verify(token)).resolves.toMatchObject({ kind: "service", user: "nightly" });
    expect(issuer.keyRequests).toBe(1);
    await expect(identity.ready()).resolves.toMatchObject({ ok: true });
  });

  it("each is judged by its own entry: a workload by its algorithms, a person by what a person must have", async () => {
    await refuses(await sign(claimsOfService({ azp: "ci" }), rsa), /algorithm that is not allowed/);
    await refuses(await sign(claimsOfService({ azp: "hoopish-cli" }), rsa), /no usable email/);
  });

  it("no client, two clients and another client: refused", async () => {
    for (const more of [{}, { azp: "ci", client_id: "hoopish-cli" }, { azp: "wiki" }, { azp: ["ci"] }]) {
      await refuses(await sign(claimsOfService(more), ec), /another client/);
    }
    expect(issuer.requests).toEqual([]);
  });
});

describe("who signed", () => {
  it.each(["none", "None", "NONE", "nOnE"])("alg %s: refused, with no signature and with one", async (alg) => {
    await refuses(`${encode({ alg, typ: "at+jwt" })}.${encode(claims())}.`, /not allowed|cannot be verified/);
    await refuses(`${encode({ alg, kid: rsa.kid })}.${encode(claims())}.AAAA`, /not allowed|cannot be verified/);
  });

  it("a MAC under the public key (HS256): refused", async () => {
    const publicKey = await importJWK({ ...rsa.publicJwk }, "RS256");
    const pem = await exportSPKI(publicKey as Signer["privateKey"]);
    for (const secret of [pem, pem.trim(), JSON.stringify(rsa.publicJwk), rsa.publicJwk.n ?? ""]) {
      const input = `${encode({ alg: "HS256", kid: rsa.kid, typ: "JWT" })}.${encode(claims())}`;
      const mac = createHmac("sha256", secret).update(input).digest("base64url");
      await refuses(`${input}.${mac}`, /^the token is signed with an algorithm that is not allowed/);
    }
  });

  it("even where the issuer publishes a symmetric key", async () => {
    const secret = Buffer.from("a secret of thirty-two bytes or so");
    issuer.overrides.set("/jwks", (response) =>
      sendJson(response, {
        keys: [{ kty: "oct", k: secret.toString("base64url"), kid: "o", alg: "HS256", use: "sig" }],
      }),
    );
    const input = `${encode({ alg: "HS256", kid: "o" })}.${encode(claims())}`;
    await refuses(`${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`, /not allowed/);
  });

  it("an algorithm that this issuer is not allowed: refused", async () => {
    identity = createIdentity([issuer.config({ algorithms: ["ES256"] })], { clockToleranceSeconds: 0, now: () => NOW });
    await refuses(await sign(claims(), rsa), /not allowed/);
  });

  it("one algorithm under another's key: refused", async () => {
    await refuses(await sign(claims(), ec, { kid: rsa.kid }), /key that its issuer does not publish/);
    await refuses(await sign(claims(), rsa, { kid: ec.kid }), /key that its issuer does not publish/);
    const strong = await makeSigner("PS256", rsa.kid);
    await refuses(await sign(claims(), strong), /key that its issuer does not publish/);
  });

  it("another's key under a known kid: refused", async () => {
    await refuses(await sign(claims(), { ...foreign, kid: rsa.kid }), /^the token's signature is not good$/);
  });

  it("a key of another configured issuer: refused, both ways of naming it", async () => {
    await refuses(await sign(claims(), foreign), /key that its issuer does not publish/);
    const theirs = claims({ iss: other.url });
    await refuses(await sign(theirs, rsa), /key that its issuer does not publish/);
  });

  it("an issuer that is not configured is refused before anything is asked over the network", async () => {
    const stranger = await IssuerStandIn.start(foreign);
    const near = [`${issuer.url}/`, issuer.url.toUpperCase(), ` ${issuer.url}`, `${issuer.url}#`, stranger.url, ""];
    for (const iss of near) await refuses(await sign(claims({ iss }), rsa), /issuer that is not configured/);
    await refuses(await sign(claims({ iss: undefined }), rsa), /names no issuer/);
    await refuses(await sign(claims({ iss: [issuer.url] }), rsa), /names no issuer/);
    expect([...issuer.requests, ...stranger.requests]).toEqual([]);
    await stranger.stop();
  });

  it("keys that the token itself brings (jwk, jku, x5u, x5c) are not looked at", async () => {
    const thief = await IssuerStandIn.start(foreign);
    const token = await sign(claims(), foreign, {
      kid: rsa.kid,
      jwk: foreign.publicJwk,
      jku: `${thief.url}/jwks`,
      x5u: `${thief.url}/cert`,
      x5c: ["AAAA"],
    });
    await refuses(token, /^the token's signature is not good$/);
    expect(thief.requests).toEqual([]);
    await thief.stop();
  });

  it("no kid: taken where one key fits, refused where several do", async () => {
    await expect(identity.verify(await sign(claims(), rsa, { kid: undefined }))).resolves.toMatchObject({ sub: "u-1" });
    const second = await makeSigner("RS256", "rsa-2");
    issuer.signers = [rsa, second];
    identity = createIdentity([issuer.config()], { clockToleranceSeconds: 30, now: () => NOW });
    await refuses(await sign(claims(), rsa, { kid: undefined }), /which key it is signed with/);
  });

  it("a kid that is no text, or a path: refused", async () => {
    for (const kid of [1, ["rsa-1"], { a: 1 }, "../../etc/passwd", "rsa-1' OR 1=1", "__proto__"]) {
      const pem = await exportPKCS8(rsa.privateKey);
      const token = rawToken({ alg: "RS256", kid, typ: "JWT" }, claims(), rsa, pem);
      await refuses(token, /does not publish|cannot be verified/);
    }
  });

  it("an encryption key of the issuer is no signing key", async () => {
    issuer.overrides.set("/jwks", (response) => sendJson(response, { keys: [{ ...rsa.publicJwk, use: "enc" }] }));
    await refuses(await sign(claims(), rsa), /does not publish/);
  });

  it("a key that is too short: refused", async () => {
    const pair = generateKeyPairSync("rsa", { modulusLength: 1024 });
    const jwk = pair.publicKey.export({ format: "jwk" }) as JsonWebKey;
    issuer.overrides.set("/jwks", (response) => sendJson(response, { keys: [{ ...jwk, kid: "short", alg: "RS256" }] }));
    const pem = pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    await refuses(rawToken({ alg: "RS256", kid: "short" }, claims(), rsa, pem), /cannot be verified/);
  });
});

describe("forms", () => {
  let pem: string;
  beforeAll(async () => {
    pem = await exportPKCS8(rsa.privateKey);
  });

  it("no token, garbage, two parts, five parts, padding, spaces: refused", async () => {
    const good = await sign(claims(), rsa);
    const [head = "", body = "", signature = ""] = good.split(".");
    await refuses("", /^there is no token$/);
    for (const garbage of ["x", "a.b", "...", "a.b.c", `${head}.${body}`, "\u0000", "Bearer x", "💥.💥.💥"]) {
      await refuses(garbage, /not a signed JWT|names no issuer/);
    }
    await refuses(`${head}.${body}.${signature}.x.y`, /encrypted \(JWE\)/);
    for (const changed of [` ${good}`, `${good}\n`, `${good}=`, `${head}.${body}==.${signature}`]) {
      await refuses(changed, /not a signed JWT/);
    }
  });

  it("cut off or changed in one place: refused", async () => {
    const good = await sign(claims(), rsa);
    const [head = "", body = "", signature = ""] = good.split(".");
    await refuses(good.slice(0, -1), /signature is not good|cannot be verified/);
    await refuses(`${head}.${body}.`, /signature is not good|cannot be verified/);
    await refuses(`${head}.${encode(claims({ groups: ["risk-officers"] }))}.${signature}`, /signature is not good/);
    await refuses(`${head}.${body}.${signature}${signature}`, /signature is not good|cannot be verified/);
  });

  it("larger than 16 KiB: refused unread", async () => {
    await refuses(await sign(claims({ pad: "x".repeat(16_384) }), rsa), /larger than 16 KiB/);
    await refuses("a".repeat(50_000_000), /larger than 16 KiB/);
    expect(issuer.requests).toEqual([]);
  });

  it("crit: what must be understood and is not is refused; so is an unencoded payload", async () => {
    await refuses(
      rawToken({ alg: "RS256", kid: rsa.kid, crit: ["exp"], exp: 1 }, claims(), rsa, pem),
      /cannot be verified/,
    );
    await refuses(rawToken({ alg: "RS256", kid: rsa.kid, crit: [] }, claims(), rsa, pem), /cannot be verified/);
    await refuses(
      rawToken({ alg: "RS256", kid: rsa.kid, crit: ["b64"], b64: false }, claims(), rsa, pem),
      /cannot be verified|not good/,
    );
  });

  it("b64 false without crit has no effect that anybody could use", async () => {
    const input = `${encode({ alg: "RS256", kid: rsa.kid, b64: false })}.`;
    const payload = encode(claims({ groups: ["risk-officers"] }));
    const signature = createSign("RSA-SHA256")
      .update(input + Buffer.from(payload, "base64url").toString())
      .sign(pem)
      .toString("base64url");
    await refuses(`${input}${payload}.${signature}`, /not good|cannot be verified/);
  });

  it("a member twice: the last counts, for the choice of the issuer and for the check alike", async () => {
    const { iss: _, ...rest } = claims();
    const twice = (first: string, last: string): string =>
      `{"iss":${JSON.stringify(first)},"iss":${JSON.stringify(last)},${JSON.stringify(rest).slice(1)}`;
    const header = { alg: "RS256", kid: rsa.kid };
    await refuses(rawToken(header, twice(issuer.url, "https://evil.example"), rsa, pem), /not configured/);
    await expect(
      identity.verify(rawToken(header, twice("https://evil.example", issuer.url), rsa, pem)),
    ).resolves.toMatchObject({
      issuer: issuer.url,
    });
    const audience = JSON.stringify(claims({ aud: "payments" })).replace('"aud":', '"aud":"hoopish","aud":');
    await refuses(rawToken(header, audience, rsa, pem), /another audience/);
  });

  it.each(["[]", "null", '"x"', "{", "\ufeff{}", "1"])("a payload that is no object (%s): refused", async (payload) => {
    await refuses(rawToken({ alg: "RS256", kid: rsa.kid }, payload, rsa, pem), /names no issuer/);
  });

  it("a payload that is not UTF-8: refused", async () => {
    const bytes = Buffer.concat([
      Buffer.from(JSON.stringify(claims()).slice(0, -1)),
      Buffer.from(',"x":"\xff"}', "latin1"),
    ]);
    const input = `${encode({ alg: "RS256", kid: rsa.kid })}.${bytes.toString("base64url")}`;
    const token = `${input}.${createSign("RSA-SHA256").update(input).sign(pem).toString("base64url")}`;
    await refuses(token, /cannot be verified/);
  });
});

describe("who it is", () => {
  it.each<[string, Record<string, unknown>, string | RegExp]>([
    ["no subject", { sub: undefined }, /^the token has no sub$/],
    ["an empty subject", { sub: "" }, /no usable subject/],
    ["a subject with a line feed", { sub: "a\nb" }, /no usable subject/],
    ["no user", { email: undefined }, /^the token has no usable email$/],
    ["a user of another type", { email: ["ada@bank.example"] }, /^the token has no usable email$/],
    ["half a surrogate pair", { email: "\ud800" }, /^the token has no usable email$/],
    ["an address that nobody verified", { email_verified: false }, /has not verified your e-mail/],
    ["the same, as text", { email_verified: "false" }, /has not verified your e-mail/],
    ["groups that are elsewhere", { groups: undefined, _claim_names: { groups: "src1" } }, /too many of them/],
    ["Entra's hasgroups", { groups: undefined, hasgroups: true }, /too many of them/],
    ["groups as an object", { groups: { a: true } }, /not a list of names/],
    ["groups with a number in it", { groups: ["a", 1] }, /not a list of names/],
    ["groups with a line feed", { groups: ["a\nb"] }, /not a list of names/],
  ])("%s: refused", async (_what, changes, message) => {
    await refuses(await sign(claims(changes), rsa), message);
  });

  it("too many groups comes with a remedy", async () => {
    const error = await refusal(await sign(claims({ groups: undefined, hasgroups: true }), rsa));
    expect(error.hint).toMatch(/groups assigned to this application/);
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ["absent", { groups: undefined }, []],
    ["null", { groups: null }, []],
    ["empty", { groups: [] }, []],
    ["one text", { groups: "a b,c" }, ["a b,c"]],
    ["the same twice", { groups: ["a", "a"] }, ["a"]],
    ["another claim that is elsewhere", { groups: undefined, _claim_names: { address: "src1" } }, []],
  ])("groups %s", async (_what, changes, groups) => {
    await expect(identity.verify(await sign(claims(changes), rsa))).resolves.toMatchObject({ groups });
  });
});

it("keys made by node:crypto and by jose are one and the same", async () => {
  const pem = await exportPKCS8(rsa.privateKey);
  const jwk = await exportJWK(await importJWK(rsa.publicJwk as never, "RS256"));
  expect(createPublicKey(createPrivateKey(pem)).export({ format: "jwk" })).toMatchObject({ n: jwk.n, e: jwk.e });
});
