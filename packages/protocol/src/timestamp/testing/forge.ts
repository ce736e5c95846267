import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { IssuedCertificate } from "@hoopish/fixtures/timestamp-authority";
import { SHA256_OID } from "../algorithms.ts";
import { encode, encodeOid, encodeUnsigned, Tag } from "../der.ts";

/** What an attacker, or a sloppy authority, could sign: tokens that `openssl ts` refuses to make, by `openssl cms`. */
export interface Forgery {
  readonly signer: IssuedCertificate;
  /** Signs too. */
  readonly second?: IssuedCertificate;
  /** DER of the TSTInfo. */
  readonly content: Buffer;
  /** More arguments for `openssl cms -sign`. Default `-cades`: names the certificate by its hash. */
  readonly flags?: readonly string[];
  readonly contentType?: string;
}

/** @returns a TimeStampResp with a good signature */
export function forge(folder: string, { signer, second, content, flags, contentType }: Forgery): Buffer {
  const at = (suffix: string): string => join(folder, `${id}.${suffix}`);
  const id = `forged-${randomBytes(6).toString("hex")}`;
  writeFileSync(at("content"), content);
  const signers = [signer, ...(second === undefined ? [] : [second])];
  execFileSync(
    "openssl",
    [
      ...["cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-in", at("content"), "-out", at("cms")],
      ...["-econtent_type", contentType ?? "1.2.840.113549.1.9.16.1.4", ...(flags ?? ["-cades"])],
      ...signers.flatMap(({ certFile, keyFile }) => ["-signer", certFile, "-inkey", keyFile]),
    ],
    { stdio: "ignore" },
  );
  return granted(readFileSync(at("cms")));
}

/** A token as the content of a TimeStampResp. */
export function granted(token: Buffer): Buffer {
  return encode(Tag.sequence, encode(Tag.sequence, encodeUnsigned(Buffer.alloc(1))), token);
}

export interface TstInfoFields {
  readonly imprint: Buffer;
  /** As written in DER. Default: now. */
  readonly genTime?: string;
  readonly version?: number;
  readonly algorithm?: string;
  /** DER that follows genTime. */
  readonly rest?: readonly Buffer[];
}

export function tstInfo({ imprint, genTime, version, algorithm, rest = [] }: TstInfoFields): Buffer {
  const time = genTime ?? `${new Date().toISOString().slice(0, 19).replace(/[-:T]/g, "")}Z`;
  const hash = encode(Tag.sequence, encodeOid(algorithm ?? SHA256_OID));
  return encode(
    Tag.sequence,
    encodeUnsigned(Buffer.from([version ?? 1])),
    encodeOid("1.2.3.4.1"),
    encode(Tag.sequence, hash, encode(Tag.octetString, imprint)),
    encodeUnsigned(Buffer.from([7])),
    encode(Tag.generalizedTime, Buffer.from(time)),
    ...rest,
  );
}
