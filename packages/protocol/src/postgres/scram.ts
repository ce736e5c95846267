import { Buffer } from "node:buffer";
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from "node:crypto";
import { PostgresProtocolError } from "./protocol-error.ts";

/** The one SASL mechanism that is spoken here: without channel binding, which would need the TLS connection. */
export const SCRAM_SHA_256 = "SCRAM-SHA-256";
/** More would be a server that wants to keep us busy. */
const MAX_ITERATIONS = 1_000_000;
const MIN_ITERATIONS = 1_000;

/**
 * A client of SCRAM-SHA-256 (RFC 5802, RFC 7677), which also proves that the server knows the password: one that only says
 * "you are in" has proved nothing. Pure: the nonce is given.
 */
export class ScramClient {
  readonly #password: string;
  readonly #nonce: string;
  readonly #bare: string;
  #serverSignature: Buffer | undefined;

  /**
   * @param nonce printable ASCII without commas, random
   * @param user PostgreSQL takes the name of the start-up message, and an empty one here
   */
  constructor(password: string, nonce: string, user = "") {
    this.#password = saslPrepared(password);
    this.#nonce = nonce;
    this.#bare = `n=${user.replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${nonce}`;
  }

  /** "n": the client does not support channel binding. */
  first(): Buffer {
    return Buffer.from(`n,,${this.#bare}`);
  }

  /** @throws PostgresProtocolError for a challenge that is none */
  final(challenge: Buffer): Buffer {
    const text = challenge.toString("utf8");
    const parts = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=(\d{1,7})(?:,.*)?$/.exec(text);
    const [, nonce = "", salt = "", count = ""] = parts ?? [];
    const iterations = Number(count);
    if (parts === null || !nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      throw new PostgresProtocolError("the server's challenge is no answer to ours");
    }
    if (iterations < MIN_ITERATIONS || iterations > MAX_ITERATIONS) {
      throw new PostgresProtocolError("the server asks for too few or too many iterations");
    }
    const salted = pbkdf2Sync(this.#password, Buffer.from(salt, "base64"), iterations, 32, "sha256");
    const clientKey = hmac(salted, "Client Key");
    const withoutProof = `c=${Buffer.from("n,,").toString("base64")},r=${nonce}`;
    const signed = `${this.#bare},${text},${withoutProof}`;
    const signature = hmac(createHash("sha256").update(clientKey).digest(), signed);
    const proof = Buffer.from(clientKey.map((byte, i) => byte ^ (signature[i] as number)));
    this.#serverSignature = hmac(hmac(salted, "Server Key"), signed);
    return Buffer.from(`${withoutProof},p=${proof.toString("base64")}`);
  }

  /** @throws PostgresProtocolError when the server does not know the password */
  verify(final: Buffer): void {
    const signature = /^v=([A-Za-z0-9+/]+={0,2})(?:,.*)?$/.exec(final.toString("utf8"))?.[1];
    const given = Buffer.from(signature ?? "", "base64");
    const wanted = this.#serverSignature;
    if (wanted === undefined || given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
      throw new PostgresProtocolError("the server does not prove that it knows the password");
    }
  }
}

const hmac = (key: Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();

/** RFC 4013, as far as it changes what people type: other spaces become spaces, what cannot be seen goes, then NFKC. */
function saslPrepared(password: string): string {
  const visible = [...password].filter((char) => !UNSEEN.test(char)).join("");
  return visible.replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu, " ").normalize("NFKC");
}

/** RFC 3454, table B.1: commonly mapped to nothing. */
const UNSEEN = /^(?:\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff)$/u;
