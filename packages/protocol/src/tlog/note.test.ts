import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openssl } from "../testing/openssl.ts";
import { reasonOf } from "../testing/reason.ts";
import { addSignatures, MAX_NOTE_SIGNATURES, openNote, signatureLine, signNote } from "./note.ts";
import { ed25519Signer, formatLogKey, newLogKey, parseLogKey } from "./note-key.ts";
import { parseVkey } from "./vkey.ts";

const key = newLogKey();
const signer = ed25519Signer("log.example/main", key);
const other = ed25519Signer("audit.example/second", newLogKey());
/** Another key that calls itself what ours is called. */
const namesake = ed25519Signer(signer.name, newLogKey());
const [verifier, otherVerifier] = [parseVkey(signer.vkey), parseVkey(other.vkey)];
const text = "log.example/main\n1\nAAAA\n";
const note = signNote(text, [signer]);

const opened = (from: string | Uint8Array, ...keys: (typeof verifier)[]): string =>
  reasonOf(() => openNote(from, keys.length > 0 ? keys : [verifier]));

describe("openNote", () => {
  test("gives the text and who signed", () => {
    const both = signNote(text, [signer, other, namesake]);
    const { verified, unknown, ...rest } = openNote(Buffer.from(both), [otherVerifier, verifier]);
    expect(rest.text).toBe(text);
    expect(verified.map(({ vkey }) => vkey)).toEqual([signer.vkey, other.vkey]);
    expect(verified[0]?.line).toBe(both.split("\n\n")[1]?.split("\n")[0]?.concat("\n"));
    expect(unknown).toBe(1);
  });

  test("reads a checkpoint of sum.golang.org", () => {
    const sumdb = parseVkey("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8");
    const tree = "go.sum database tree\n35225469\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n";
    const line =
      "— sum.golang.org Az3grpukl5AXaVfYkLiDGORx/DN2nlcS5kZHR5uYOBV2KA2HgXpD+gu9HHONebHLAyaKbbTM75QTtPydhKCExixSfwQ=\n";
    expect(openNote(`${tree}\n${line}`, [sumdb])).toMatchObject({ text: tree, unknown: 0 });
    expect(opened(`${tree.replace("69", "68")}\n${line}`, sumdb)).toBe("bad_signature");
  });

  test("a signature of ours is one that openssl verifies, and the other way round", () => {
    const publicKey = openssl(["pkey", "-in", "key.pem", "-pubout"], { "key.pem": formatLogKey(key) });
    const { signature } = openNote(note, [verifier]).verified[0] ?? {};
    const printed = openssl(
      ["pkeyutl", "-verify", "-pubin", "-inkey", "pub.pem", "-rawin", "-in", "text", "-sigfile", "sig"],
      { "pub.pem": publicKey, text, sig: signature ?? "" },
    );
    expect(printed.toString()).toContain("Verified Successfully");

    const pem = openssl(["genpkey", "-algorithm", "ed25519"]);
    const made = openssl(["pkeyutl", "-sign", "-inkey", "key.pem", "-rawin", "-in", "text"], { "key.pem": pem, text });
    const theirs = ed25519Signer("openssl.example", parseLogKey(pem));
    const line = `— openssl.example ${Buffer.concat([theirs.keyId, made]).toString("base64")}\n`;
    expect(opened(`${text}\n${line}`, parseVkey(theirs.vkey))).toBe("taken");
  });

  test("the text may have blank lines: the last one divides", () => {
    const long = "a\n\n— b c\n\n\n";
    const signed = signNote(long, [signer]);
    expect(openNote(signed, [verifier]).text).toBe(long);
    const quoting = signNote(note, [other]);
    expect(openNote(quoting, [otherVerifier]).text).toBe(note);
    expect(opened(quoting)).toBe("unsigned");
  });

  test("keys that are not known are ignored, whatever name or id they share with ours", () => {
    const sameId = `— other.example ${signatureLine(signer, text).split(" ")[2]}`;
    for (const line of [signatureLine(namesake, text), sameId, "— x AAAAAAA=\n"]) {
      expect(opened(`${text}\n${line}`)).toBe("unsigned");
      expect(openNote(`${note}${line}`, [verifier]).unknown).toBe(1);
    }
    expect(opened(note, otherVerifier)).toBe("unsigned");
    expect(reasonOf(() => openNote(note, []))).toBe("unsigned");
  });

  test("one bad signature of a known key rejects the note, however many good ones there are", () => {
    const bad = signatureLine(signer, "another text\n");
    expect(opened(note + bad)).toBe("bad_signature");
    expect(opened(`${text}\n${bad}${signatureLine(signer, text)}`)).toBe("bad_signature");
    expect(opened(addSignatures(note, signatureLine(other, "x\n")), verifier, otherVerifier)).toBe("bad_signature");
    const cut = `— ${signer.name} ${Buffer.concat([signer.keyId, Buffer.alloc(63)]).toString("base64")}\n`;
    expect(opened(note + cut)).toBe("bad_signature");
  });

  test("a key that signed twice is one signer", () => {
    const twice = note + signatureLine(signer, text);
    expect(openNote(twice, [verifier, verifier]).verified).toHaveLength(1);
  });

  test("two known keys that cannot be told apart are refused", () => {
    const forged = { ...otherVerifier, name: verifier.name, keyId: verifier.keyId };
    expect(opened(note, verifier, forged)).toBe("bad_key");
  });

  const line = signatureLine(signer, text);
  const base64 = line.split(" ")[2]?.trimEnd() ?? "";
  test.each([
    ["nothing", ""],
    ["no blank line", `${text}${line}`],
    ["no signature", `${text}\n`],
    ["only signatures", line],
    ["no last newline", note.slice(0, -1)],
    ["a blank line more at the end", `${note}\n`],
    ["carriage returns", note.replaceAll("\n", "\r\n")],
    ["one carriage return", note.replace("\n\n", "\r\n\n")],
    ["a tab", `a\t\n\n${line}`],
    ["a zero byte", `a\0\n\n${line}`],
    ["an escape sequence", `a\u001b[2J\n\n${line}`],
    ["a lone surrogate", `a\ud800\n\n${line}`],
    ["a hyphen for the em dash", note.replace("—", "-")],
    ["no name", `${text}\n— ${base64}\n`],
    ["an empty name", `${text}\n—  ${base64}\n`],
    ["a name with a plus", `${text}\n— a+b ${base64}\n`],
    ["a name with a no-break space", `${text}\n— a\u00a0b ${base64}\n`],
    ["a name with a line separator", `${text}\n— a\u2028b ${base64}\n`],
    ["two spaces before the signature", `${text}\n— ${signer.name}  ${base64}\n`],
    ["a space after it", note.replace(/\n$/, " \n")],
    ["text between the signatures", `${note}hello\n${line}`],
    ["base64 without its padding", `${text}\n— ${signer.name} ${base64.replaceAll("=", "")}\n`],
    ["base64 with stray bits", `${text}\n— a AAAAAAB=\n`],
    ["base64 for URLs", `${text}\n— a AAAA_-AA\n`],
    ["base64 with something behind it", `${text}\n— ${signer.name} ${base64}!\n`],
    ["a signature that is all key id", `${text}\n— a AAAAAA==\n`],
    ["an empty signature", `${text}\n— a \n`],
  ])("%s: malformed", (_, bad) => {
    expect(opened(bad)).toBe("malformed");
  });

  test("bytes that are no UTF-8, or begin with a byte order mark, are not the note", () => {
    expect(opened(Buffer.concat([Buffer.of(0xff), Buffer.from(note)]))).toBe("malformed");
    expect(opened(Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), Buffer.from(note)]))).toBe("bad_signature");
  });

  test("what is too large is not read", () => {
    const most = `${text}\n${"— a AAAAAAA=\n".repeat(MAX_NOTE_SIGNATURES - 1)}${line}`;
    expect(openNote(most, [verifier]).unknown).toBe(99);
    expect(opened(`${most}— a AAAAAAA=\n`)).toBe("too_large");
    for (const huge of ["a", "é", "\n", "— a AAAAAAA=\n"].map((part) => part.repeat(2_000_000 / part.length))) {
      const start = performance.now();
      expect(opened(huge)).toBe("too_large");
      expect(opened(Buffer.from(huge))).toBe("too_large");
      expect(performance.now() - start).toBeLessThan(1000);
    }
    expect(opened("é".repeat(600_000))).toBe("too_large");
  });

  test("a bit flipped anywhere: never taken for signed by our key", () => {
    const bytes = Buffer.from(note);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const copy = Buffer.from(bytes);
      copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(["malformed", "bad_signature", "unsigned"]).toContain(opened(copy));
    }
  });
});

describe("signNote", () => {
  test("any clean text comes back", () => {
    const line = fc.string({ unit: "grapheme" }).filter((part) => !/\p{Cc}/u.test(part) && part.isWellFormed());
    fc.assert(
      fc.property(fc.array(line, { minLength: 1 }), (lines) => {
        const body = lines.map((part) => `${part}\n`).join("");
        expect(openNote(signNote(body, [signer]), [verifier]).text).toBe(body);
      }),
    );
  });

  test.each(["", "no newline", "a\r\n", "a\0\n", "\ud800\n"])("refuses the text %j", (bad) => {
    expect(reasonOf(() => signNote(bad, [signer]))).toBe("malformed");
  });

  test("refuses to make a note that nobody has signed", () => {
    expect(reasonOf(() => signNote(text, []))).toBe("unsigned");
  });
});

describe("addSignatures", () => {
  test("adds what is not there yet", () => {
    const line = signatureLine(other, text);
    const both = addSignatures(note, line, line);
    expect(both).toBe(note + line);
    expect(addSignatures(both, note.split("\n\n")[1] ?? "", line)).toBe(both);
  });

  test.each(["hello\n", "\n", "— a AAAAAAA=", `\n${signatureLine(other, text)}`, "— a AAAAAAA=\r\n"])(
    "refuses %j",
    (line) => {
      expect(reasonOf(() => addSignatures(note, line))).toBe("malformed");
    },
  );

  test("refuses more signatures than are read", () => {
    const lines = Array.from({ length: MAX_NOTE_SIGNATURES }, (_, i) => `— a${i} AAAAAAA=\n`);
    expect(reasonOf(() => addSignatures(note, ...lines))).toBe("too_large");
  });
});

describe("keys", () => {
  test("a vkey names its key: type, id and all", () => {
    expect(parseVkey(signer.vkey)).toMatchObject({ name: signer.name, keyId: signer.keyId, vkey: signer.vkey });
    for (let i = 0; i < 50; i++) {
      const { vkey } = ed25519Signer("a", newLogKey());
      expect(parseVkey(vkey).vkey).toBe(vkey);
    }
  });

  const [, id = "", base64 = ""] = signer.vkey.split(/\+(.{8})\+(.*)/);
  test.each([
    ["nothing", ""],
    ["two parts", `${signer.name}+${id}`],
    ["no name", `+${id}+${base64}`],
    ["a name with a space", `a b+${id}+${base64}`],
    ["another name", `${signer.name}x+${id}+${base64}`],
    ["another id", `${signer.name}+00000000+${base64}`],
    ["an upper-case id", `${signer.name}+${id.toUpperCase().replace(/^\d+$/, "A")}+${base64}`],
    ["a short id", `${signer.name}+${id.slice(1)}+${base64}`],
    ["a newline at the end", `${signer.vkey}\n`],
    ["a key too short", `a+00000000+${Buffer.alloc(32, 1).toString("base64")}`],
    ["a key too long", `a+00000000+${Buffer.alloc(34, 1).toString("base64")}`],
    ["a type of key that is not read", `a+00000000+${Buffer.alloc(33, 2).toString("base64")}`],
    ["far too much", `a+00000000+${"A".repeat(1_000_000)}`],
  ])("%s is no vkey", (_, vkey) => {
    expect(reasonOf(() => parseVkey(vkey))).toBe("bad_key");
  });

  test.each(["", "a b", "a+b", "a\nb", "a\u00a0b", "a\u0000b", "\ud800"])("the name %j is refused", (name) => {
    expect(reasonOf(() => ed25519Signer(name, key))).toBe("bad_key");
  });

  test("only an Ed25519 private key in PEM is a log's key", () => {
    const rsa = openssl(["genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:1024"]);
    const publicKey = openssl(["pkey", "-in", "key.pem", "-pubout"], { "key.pem": formatLogKey(key) });
    for (const pem of [rsa, publicKey, "", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]) {
      expect(reasonOf(() => parseLogKey(pem))).toBe("bad_key");
    }
    expect(ed25519Signer(signer.name, parseLogKey(formatLogKey(key))).vkey).toBe(signer.vkey);
  });
});
