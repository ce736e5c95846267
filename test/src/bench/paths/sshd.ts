import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { freePort } from "../../world/free-port.ts";
import { Program } from "../../world/program.ts";

const SSHD = "/usr/sbin/sshd";
/** sshd started by root wants this folder for its unprivileged half; the service's start script makes it. */
const PRIVSEP = "/run/sshd";

export interface Sshd {
  readonly program: Program;
  /** Starts a client that only forwards, and waits until its forwards stand. */
  forward(what: string, forwards: readonly string[]): Promise<Program>;
}

/** Why there can be no ssh pair here, or undefined. */
export function whyNoSsh(): string | undefined {
  if (!existsSync(SSHD)) return "ssh: sshd is not installed";
  if (!existsSync("/usr/bin/ssh") || !existsSync("/usr/bin/ssh-keygen")) return "ssh: the ssh client is not installed";
  if (userInfo().uid === 0 && !existsSync(PRIVSEP) && !existsSync("/usr/bin/unshare")) {
    return `ssh: sshd started by root needs ${PRIVSEP}`;
  }
  return undefined;
}

/** An sshd on loopback with keys and a configuration of its own in `dir`. Nothing of the system's is read or changed. */
export async function startSshd(dir: string, keep: (program: Program) => void): Promise<Sshd> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = (name: string): string => join(dir, name);
  for (const key of ["host", "client"]) {
    execFileSync("/usr/bin/ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "hoopish-bench", "-f", file(key)]);
  }
  copyFileSync(file("client.pub"), file("authorized_keys"));
  const port = await freePort();
  writeFileSync(file("known_hosts"), "");
  writeFileSync(
    file("sshd_config"),
    [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${file("host")}`,
      `AuthorizedKeysFile ${file("authorized_keys")}`,
      "PidFile none",
      "UsePAM no",
      "StrictModes no",
      "AuthenticationMethods publickey",
      "PermitRootLogin prohibit-password",
      "AllowTcpForwarding yes",
    ].join("\n"),
  );
  const program = new Program("sshd", startDaemon(file("sshd_config")));
  keep(program);
  await program.until(() => program.stderr.includes("Server listening") || undefined);
  return {
    program,
    async forward(what, forwards) {
      const options = [
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=accept-new",
        `UserKnownHostsFile=${file("known_hosts")}`,
        "ExitOnForwardFailure=yes",
      ];
      const args = ["-v", "-N", "-F", "none", "-i", file("client"), "-p", String(port)];
      const to = `${userInfo().username}@127.0.0.1`;
      const client = new Program(
        `ssh ${what}`,
        spawn("/usr/bin/ssh", [...args, ...options.flatMap((option) => ["-o", option]), ...forwards, to], {
          stdio: ["ignore", "pipe", "pipe"],
        }),
      );
      keep(client);
      // What ssh says when it has signed in and its forwards stand; before it, all could still fail.
      await client.until(() => client.stderr.includes("Entering interactive session") || undefined);
      const remote = forwards.filter((word) => word === "-R").length;
      await client.until(() => count(client.stderr, "remote forward success") === remote || undefined);
      return client;
    },
  };
}

const count = (text: string, word: string): number => text.split(word).length - 1;

function startDaemon(config: string): ChildProcess {
  const daemon = [SSHD, "-D", "-e", "-f", config];
  const stdio = ["ignore", "pipe", "pipe"] as const;
  if (userInfo().uid !== 0 || existsSync(PRIVSEP)) return spawn(SSHD, daemon.slice(1), { stdio: [...stdio] });
  // A /run that only this process sees; each `exec` keeps the process id.
  const script = `mount -t tmpfs none /run && mkdir -m 755 ${PRIVSEP} && exec "$@"`;
  return spawn("/usr/bin/unshare", ["--mount", "sh", "-c", script, "sh", ...daemon], { stdio: [...stdio] });
}
