import { freePort } from "../../world/free-port.ts";
import type { Program } from "../../world/program.ts";
import { descendants } from "../proc.ts";
import { bearer, type Model, type Path } from "./path.ts";
import { startSshd } from "./sshd.ts";

/**
 * What people do without a gateway: a laptop's `ssh -L` to a host in the middle, where the model network's `ssh -R` has
 * left a port. The same three places as hoopish's, with everything encrypted and nothing known of what passes.
 */
export async function sshPath(
  dir: string,
  model: Model,
  tapUrl: string,
  keep: (program: Program) => void,
): Promise<Path> {
  const sshd = await startSshd(dir, keep);
  const targets = [new URL(model.url).port, new URL(tapUrl).port];
  const middle = [await freePort(), await freePort()];
  const local = [await freePort(), await freePort()];
  const far = await sshd.forward(
    "-R",
    targets.flatMap((target, index) => ["-R", `127.0.0.1:${middle[index]}:127.0.0.1:${target}`]),
  );
  const near = await sshd.forward(
    "-L",
    local.flatMap((port, index) => ["-L", `127.0.0.1:${port}:127.0.0.1:${middle[index]}`]),
  );
  const headers = bearer(model.credential);
  const plain = { origin: `http://127.0.0.1:${local[0]}`, headers };
  return {
    name: "ssh",
    chat: plain,
    infer: plain,
    raw: plain,
    timed: { origin: `http://127.0.0.1:${local[1]}`, headers },
    processes: () => ({
      "ssh -L": [near.pid],
      // A process for each of the two clients, and where it separates privileges two.
      sshd: descendants(sshd.program.pid),
      "ssh -R": [far.pid],
    }),
  };
}
