import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A certificate authority in a folder, and what it has signed. Needs the `openssl` program. */
export interface TestCa {
  readonly caFile: string;
  /** Signs a new key for 127.0.0.1 (and for clients); `name` becomes the files' and the subject's name. */
  issue(name: string): {
    readonly certFile: string;
    readonly keyFile: string;
    readonly cert: string;
    readonly key: string;
  };
}

export const HAS_OPENSSL: boolean = ((): boolean => {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

export function createCa(folder: string, name: string): TestCa {
  const file = (suffix: string): string => join(folder, `${name}${suffix}`);
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { stdio: "ignore" });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"];
  openssl(
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    file(".key"),
    "-out",
    file(".pem"),
    "-subj",
    `/CN=${name}`,
    "-days",
    "2",
  );
  writeFileSync(file(".ext"), "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n");
  return {
    caFile: file(".pem"),
    issue(subject) {
      const of = (suffix: string): string => file(`-${subject}${suffix}`);
      openssl("req", ...newKey, "-keyout", of(".key"), "-out", of(".csr"), "-subj", `/CN=${subject}`);
      const by = [
        "-CA",
        file(".pem"),
        "-CAkey",
        file(".key"),
        "-CAcreateserial",
        "-extfile",
        file(".ext"),
        "-days",
        "2",
      ];
      openssl("x509", "-req", "-in", of(".csr"), "-out", of(".pem"), ...by);
      const [certFile, keyFile] = [of(".pem"), of(".key")];
      return { certFile, keyFile, cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8") };
    },
  };
}
