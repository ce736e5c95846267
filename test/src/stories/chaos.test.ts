import { expect, it } from "vitest";
import { chaos } from "../chaos/chaos.ts";

/** `npm run chaos` does this 200 times, and looks at the log after each. */

it("a server that is killed 20 times under load loses nothing that it delivered", { timeout: 300_000 }, async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const said: string[] = [`seed ${seed}`];
  const result = await chaos({ kills: 20, seed, lookEvery: 10, killStarts: 0.1, say: (line) => said.push(line) }).catch(
    (error: Error) => {
      throw new Error(`${said.join("\n")}\n${error.message}`, { cause: error });
    },
  );
  expect(result.calls).toBeGreaterThan(60);
  expect(result.broken).toBeGreaterThan(10);
  expect(result.interrupted).toBeGreaterThan(10);
  expect(result.records).toBeGreaterThan(2 * result.calls);
});
