import { execFileSync } from "node:child_process";
import { hash, randomBytes, X509Certificate } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createTimestampAuthority,
  HAS_OPENSSL,
  ISSUER_EXTENSIONS,
  type IssueOptions,
  type ReplyOptions,
  SIGNER_EXTENSIONS,
  type TimestampAuthority,
} from "@hoopish/fixtures/timestamp-authority";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readAuthorities } from "./authorities.ts";
import { encode, encodeUnsigned, Tag } from "./der.ts";
import { encodeTimestampRequest } from "./request.ts";
import { forge, granted, tstInfo } from "./testing/forge.ts";
import { TimestampError, type TimestampFault } from "./timestamp-error.ts";
import { describeTimestamp, type Timestamp, verifyTimestamp } from "./verify-timestamp.ts";

const DATA = Buffer.from("gateway.bank.example/hoopish\n42\nroot\n\n— signature\n");
const IMPRINT = hash("sha256", DATA, "buffer");
const NONCE = randomBytes(8);

let folder = "";
let authority: TimestampAuthority;
let trusted: X509Certificate[];

const stamp = (options?: ReplyOptions): Promise<Buffer> =>
  authority.reply(encodeTimestampRequest(IMPRINT, NONCE), options);
const check = (response: Uint8Array, nonce?: Buffer): Timestamp =>
  verifyTimestamp(response, { imprint: IMPRINT, authorities: trusted, ...(nonce && { nonce }) });
const faultOf = (act: () => unknown): TimestampFault | "taken" => {
  try {
    act();
    return "taken";
  } catch (error) {
    if (error instanceof TimestampError) return error.reason;
    throw error;
  }
};
let serial = 0;
const issue = (options?: IssueOptions) => authority.issue(`issued-${++serial}`, options);
const by = (options: IssueOptions, fields = {}): Buffer =>
  forge(folder, { signer: issue(options), content: tstInfo({ imprint: IMPRINT, ...fields }) });

describe.skipIf(!HAS_OPENSSL)("a timestamp of `openssl ts` (skipped where openssl is not there)", () => {
  let genuine: Buffer;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "hoopish-timestamp-"));
    authority = createTimestampAuthority(folder);
    trusted = readAuthorities(authority.ca);
    genuine = await stamp();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("is taken for the data and the request that it is about", () => {
    const before = Date.now() - 10_000;
    const timestamp = check(genuine, NONCE);
    expect(timestamp).toMatchObject({ policy: "1.2.3.4.1", accuracyMs: 1_500, signer: "CN=signer" });
    expect(timestamp.genTimeMs).toBeGreaterThan(before);
    expect(timestamp.genTimeMs).toBeLessThanOrEqual(Date.now());
    expect(describeTimestamp(genuine)).toEqual({ genTimeMs: timestamp.genTimeMs, imprint: IMPRINT });
  });

  it("the request is what openssl makes, but for the nonce", () => {
    writeFileSync(join(folder, "data"), DATA);
    const args = ["ts", "-query", "-data", join(folder, "data"), "-sha256", "-cert", "-no_nonce"];
    const theirs = execFileSync("openssl", args, { stdio: ["ignore", "pipe", "ignore"] });
    const nonce = encodeUnsigned(NONCE);
    const ours = encodeTimestampRequest(IMPRINT, NONCE);
    const without = Buffer.concat([ours.subarray(2, ours.length - 3 - nonce.length), ours.subarray(-3)]);
    expect(encode(Tag.sequence, without)).toEqual(theirs);
  });

  it("openssl agrees", () => {
    writeFileSync(join(folder, "genuine.tsr"), genuine);
    writeFileSync(join(folder, "data"), DATA);
    const args = ["ts", "-verify", "-data", join(folder, "data"), "-in", join(folder, "genuine.tsr")];
    execFileSync("openssl", [...args, "-CAfile", authority.caFile], { stdio: "ignore" });
  });

  it.each<[string, ReplyOptions]>([
    ["SHA-1 names the certificate (RFC 2634)", { essDigest: "sha1" }],
    ["SHA-512 names the certificate", { essDigest: "sha512" }],
    ["SHA-384", { signerDigest: "sha384" }],
    ["SHA-512", { signerDigest: "sha512" }],
  ])("is taken with %s", async (_what, options) => {
    expect(check(await stamp(options), NONCE).policy).toBe("1.2.3.4.1");
  });

  it("is taken from an RSA key, and through authorities in between", async () => {
    const middle = authority.issue("middle", { extensions: ISSUER_EXTENSIONS });
    const lower = authority.issue("lower", { extensions: ISSUER_EXTENSIONS, issuer: middle });
    const signer = authority.issue("rsa-signer", { key: "rsa", issuer: lower });
    const chainFile = join(folder, "chain.pem");
    writeFileSync(chainFile, lower.pem + middle.pem);
    expect(check(await stamp({ signer, chainFile }), NONCE).signer).toBe("CN=rsa-signer");
    writeFileSync(chainFile, middle.pem);
    const gap = await stamp({ signer, chainFile });
    expect(faultOf(() => check(gap))).toBe("untrusted");
    // What the token lacks may stand in the CA file.
    trusted.push(new X509Certificate(lower.pem));
    expect(check(gap).signer).toBe("CN=rsa-signer");
    trusted.pop();
  });

  it("is taken when the CA file names the signer itself", () => {
    const authorities = [new X509Certificate(authority.signer.pem)];
    expect(verifyTimestamp(genuine, { imprint: IMPRINT, authorities }).signer).toBe("CN=signer");
  });

  it("is taken later, after its certificate has ended, for a time at which it was valid", () => {
    const dates = { from: "20200101000000Z", to: "20210101000000Z" };
    expect(check(by(dates, { genTime: "20200615120000.25Z" })).genTimeMs).toBe(Date.UTC(2020, 5, 15, 12, 0, 0, 250));
  });

  it("is taken without its certificate when the CA file has it, and by key identifier", () => {
    const signer = issue({ extensions: `${SIGNER_EXTENSIONS}subjectKeyIdentifier=hash\n` });
    const content = tstInfo({ imprint: IMPRINT });
    const bare = forge(folder, { signer, content, flags: ["-cades", "-nocerts", "-keyid"] });
    expect(faultOf(() => check(bare))).toBe("certificate");
    trusted.push(new X509Certificate(signer.pem));
    expect(check(bare).policy).toBe("1.2.3.4.1");
    trusted.pop();
  });

  describe("is not taken", () => {
    it("for other data, or as the answer to another request", async () => {
      const imprint = hash("sha256", "other", "buffer");
      expect(faultOf(() => verifyTimestamp(genuine, { imprint, authorities: trusted }))).toBe("imprint");
      expect(faultOf(() => check(genuine, randomBytes(8)))).toBe("nonce");
      expect(faultOf(() => check(by({}), NONCE))).toBe("nonce");
      const sha1 = tstInfo({ imprint: IMPRINT, algorithm: "1.3.14.3.2.26" });
      expect(faultOf(() => check(forge(folder, { signer: authority.signer, content: sha1 })))).toBe("imprint");
    });

    it("when the authority refuses; and says why", async () => {
      const refused = await stamp({ digests: "sha512" });
      expect(faultOf(() => check(refused))).toBe("rejected");
      expect(() => check(refused)).toThrow("rejection, the hash is not taken");
      expect(() => check(encode(Tag.sequence, encode(Tag.sequence, encodeUnsigned(Buffer.from([3])))))).toThrow(
        "waiting",
      );
    });

    it("from an authority with the same name and another key", async () => {
      const other = createTimestampAuthority(mkdtempSync(join(folder, "foreign-")));
      const foreign = await other.reply(encodeTimestampRequest(IMPRINT, NONCE));
      expect(faultOf(() => check(foreign, NONCE))).toBe("untrusted");
      expect(faultOf(() => verifyTimestamp(genuine, { imprint: IMPRINT, authorities: [] }))).toBe("untrusted");
    });

    it.each<[string, IssueOptions, object, TimestampFault]>([
      ["before its time", { from: "20400101000000Z", to: "20410101000000Z" }, {}, "certificate"],
      ["after its time", { from: "20200101000000Z", to: "20210101000000Z" }, {}, "certificate"],
      ["without a purpose", { extensions: "keyUsage=critical,digitalSignature\n" }, {}, "certificate"],
      ["for servers", { extensions: "extendedKeyUsage=critical,serverAuth\n" }, {}, "certificate"],
      [
        "for more than timestamps",
        { extensions: "extendedKeyUsage=critical,timeStamping,codeSigning\n" },
        {},
        "certificate",
      ],
      ["for timestamps, not critical", { extensions: "extendedKeyUsage=timeStamping\n" }, {}, "certificate"],
      [
        "that may not sign",
        { extensions: `${SIGNER_EXTENSIONS.replace("digitalSignature", "keyEncipherment")}` },
        {},
        "certificate",
      ],
      [
        "with a critical extension that nobody knows",
        { extensions: `${SIGNER_EXTENSIONS}1.2.3.4=critical,ASN1:NULL\n` },
        {},
        "certificate",
      ],
      ["with a short key", { key: "rsa1024" }, {}, "signature"],
      ["signed with SHA-1", { digest: "sha1" }, {}, "untrusted"],
    ])("from a certificate %s", (_what, options, fields, fault) => {
      expect(faultOf(() => check(by(options, fields)))).toBe(fault);
    });

    it.each<[string, IssueOptions]>([
      ["is none", { extensions: SIGNER_EXTENSIONS }],
      ["may not issue certificates", { extensions: "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign\n" }],
      ["is for something else", { extensions: `${ISSUER_EXTENSIONS}extendedKeyUsage=serverAuth\n` }],
      ["has ended", { extensions: ISSUER_EXTENSIONS, from: "20200101000000Z", to: "20210101000000Z" }],
    ])("when what stands between signer and root %s", (_what, options) => {
      const issuer = issue(options);
      const response = forge(folder, {
        signer: issue({ issuer }),
        content: tstInfo({ imprint: IMPRINT }),
        flags: ["-cades", "-certfile", issuer.certFile],
      });
      expect(faultOf(() => check(response))).toBe("untrusted");
    });

    it("through more authorities than one of them allows", () => {
      const upper = issue({ extensions: ISSUER_EXTENSIONS.replace("TRUE", "TRUE,pathlen:0") });
      const lower = issue({ extensions: ISSUER_EXTENSIONS, issuer: upper });
      const chainFile = join(folder, "long.pem");
      writeFileSync(chainFile, upper.pem + lower.pem);
      const content = tstInfo({ imprint: IMPRINT });
      const flags = ["-cades", "-certfile", chainFile];
      expect(faultOf(() => check(forge(folder, { signer: issue({ issuer: lower }), content, flags })))).toBe(
        "untrusted",
      );
      expect(check(forge(folder, { signer: issue({ issuer: upper }), content, flags })).policy).toBe("1.2.3.4.1");
    });

    it.each<[string, readonly string[], TimestampFault]>([
      ["does not name its certificate", [], "signature"],
      ["covers no attributes", ["-noattr"], "malformed"],
    ])("when the signature %s", (_what, flags, fault) => {
      const content = tstInfo({ imprint: IMPRINT });
      expect(faultOf(() => check(forge(folder, { signer: authority.signer, content, flags })))).toBe(fault);
    });

    it("with two signers, another type of content, or nothing that is a timestamp", () => {
      const content = tstInfo({ imprint: IMPRINT });
      const { signer } = authority;
      const fault = (forgery: object): string => faultOf(() => check(forge(folder, { signer, content, ...forgery })));
      expect(fault({})).toBe("taken");
      expect(fault({ second: issue() })).toBe("malformed");
      expect(fault({ contentType: "1.2.840.113549.1.7.1" })).toBe("malformed");
      expect(fault({ content: Buffer.from("hello") })).toBe("malformed");
      expect(fault({ content: tstInfo({ imprint: IMPRINT, version: 2 }) })).toBe("malformed");
      expect(fault({ content: tstInfo({ imprint: IMPRINT, genTime: "20260230120000Z" }) })).toBe("malformed");
      expect(fault({ content: tstInfo({ imprint: IMPRINT, genTime: "20260203120000+0100" }) })).toBe("malformed");
      expect(fault({ content: Buffer.concat([content, Buffer.from([5, 0])]) })).toBe("malformed");
    });

    it("cut off anywhere, or with something behind it", () => {
      for (let length = 0; length < genuine.length; length += 1) {
        expect(faultOf(() => check(genuine.subarray(0, length)))).toBe("malformed");
      }
      expect(faultOf(() => check(Buffer.concat([genuine, Buffer.from([0])])))).toBe("malformed");
      expect(faultOf(() => check(Buffer.alloc(65_537, 0x30)))).toBe("malformed");
    });

    it("with another time, wherever one bit of what is signed is turned", () => {
      const { genTimeMs } = check(genuine);
      let refused = 0;
      for (let at = 0; at < genuine.length; at += 1) {
        const changed = Buffer.from(genuine);
        changed[at] = (changed[at] ?? 0) ^ 1;
        const fault = faultOf(() => {
          const timestamp = check(changed);
          // A bit that means nothing, such as one of an algorithm's parameters, may be turned; what is said stays.
          expect(timestamp.genTimeMs).toBe(genTimeMs);
        });
        if (fault !== "taken") refused += 1;
      }
      expect(refused).toBeGreaterThan(genuine.length * 0.97);
    });

    it("nor anything else done, whatever the bytes are", () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(genuine.length - 1), (noise, at) => {
          const spliced = Buffer.concat([genuine.subarray(0, at), noise, genuine.subarray(at + noise.length)]);
          expect(faultOf(() => check(Buffer.from(noise)))).not.toBe("taken");
          faultOf(() => check(spliced));
          faultOf(() => check(granted(Buffer.from(noise))));
        }),
        { numRuns: 300 },
      );
    });
  });
});

describe("readAuthorities", () => {
  it.each(["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])(
    "refuses %j",
    (pem) => {
      expect(faultOf(() => readAuthorities(pem))).toBe("malformed");
    },
  );
});

const VECTOR = new URL("../../../../../shared/data/tlog/", import.meta.url);

describe.skipIf(!existsSync(VECTOR))(
  "a public authority's token (skipped where the third-party vectors are not)",
  () => {
    it("states its time, and is about the signature in the log's entry beside it", () => {
      const token = readFileSync(new URL("rekor-v2-0.tsr", VECTOR));
      const { genTimeMs, imprint } = describeTimestamp(token);
      expect(new Date(genTimeMs).toISOString()).toBe("2025-12-11T19:36:08.000Z");
      const { entries } = JSON.parse(readFileSync(new URL("rekor-v2-log2025-1.json", VECTOR), "utf8"));
      const body = JSON.parse(Buffer.from(entries[0].canonicalizedBody, "base64").toString());
      const signature = Buffer.from(body.spec.dsseV002.signatures[0].content, "base64");
      expect(imprint).toEqual(hash("sha256", signature, "buffer"));
      // Its certificate is not among the vectors.
      const fault = faultOf(() => verifyTimestamp(token, { imprint, authorities: [] }));
      expect(fault).toBe("certificate");
      expect(faultOf(() => verifyTimestamp(token, { imprint: hash("sha256", "x", "buffer"), authorities: [] }))).toBe(
        "imprint",
      );
    });
  },
);
