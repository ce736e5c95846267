/** For tests: a certificate for localhost and 127.0.0.1 that is its own authority, made anew each time. */
import { Buffer } from "node:buffer";
import { generateKeyPairSync, sign } from "node:crypto";

/** DER, ITU-T X.690: tag, length, content. */
function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head = length < 128 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}
const sequence = (...parts: Buffer[]) => der(0x30, ...parts);
const oid = (hex: string) => der(0x06, Buffer.from(hex, "hex"));
const time = (date: Date) =>
  der(
    0x17,
    Buffer.from(
      `${date
        .toISOString()
        .replace(/[-T:]|\..*/g, "")
        .slice(2)}Z`,
    ),
  );

/** RFC 5280: a version 3 certificate with a P-256 key, signed by itself. PEM. */
export function makeCertificate(commonName: string = "localhost"): { key: string; cert: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from(commonName)))));
  const ecdsaWithSha256 = sequence(oid("2a8648ce3d040302"));
  const critical = der(0x01, Buffer.from([0xff]));
  const basicConstraints = sequence(oid("551d13"), critical, der(0x04, sequence(critical)));
  const dnsName = der(0x82, Buffer.from(commonName));
  const ipAddress = der(0x87, Buffer.from([127, 0, 0, 1]));
  const alternativeNames = sequence(oid("551d11"), der(0x04, sequence(dnsName, ipAddress)));
  const tbs = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    ecdsaWithSha256,
    name,
    sequence(time(new Date(Date.now() - 3_600_000)), time(new Date(Date.now() + 3_600_000))),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(basicConstraints, alternativeNames)),
  );
  const signature = der(0x03, Buffer.from([0]), sign("sha256", tbs, privateKey));
  const base64 = sequence(tbs, ecdsaWithSha256, signature).toString("base64").replace(/.{64}/g, "$&\n");
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
  };
}
