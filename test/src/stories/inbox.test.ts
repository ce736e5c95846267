import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { binPath } from "../world/program.ts";
import { type Connected, World } from "../world/world.ts";

/** An approver's evening: the inbox in a real terminal. */

const RULES = `
  - { name: scientists, connections: [credit], groups: [data-science], then: allow }
  - name: bulk-prediction
    connections: ["*"]
    when: call.rows > 100
    then: hold
    approval: { groups: [risk-officers], quorum: 1, wait: 20s, expires: 1m }`;

const hasTmux = spawnSync("tmux", ["-V"]).status === 0;
const tmux = (socket: string, ...args: string[]) => promisify(execFile)("tmux", ["-S", socket, ...args]);

describe.skipIf(!hasTmux)("the inbox in a terminal (skipped where tmux is not there)", () => {
  let world: World;
  let credit: Connected;
  let socket: string;
  beforeAll(async () => {
    world = await World.start({ rules: RULES });
    for (const account of ["scientist", "risk1"] as const) await world.signIn(account);
    credit = await world.connect("scientist", "credit");
    socket = join(world.dir, "tmux");
    const set = Object.entries(world.env("risk1")).map(([name, value]) => `${name}=${value}`);
    // A person's terminal, whatever started this test: where CI is set there is no live view.
    const command = ["env", "-u", "CI", ...set, process.execPath, binPath("hoopish"), "approve"];
    const quoted = command.map((word) => `'${word}'`).join(" ");
    // The shell afterwards keeps the screen after the inbox has gone.
    await tmux(
      socket,
      "-f",
      "/dev/null",
      "new-session",
      "-d",
      "-x",
      "120",
      "-y",
      "40",
      `${quoted}; echo left=$?; sleep 60`,
    );
  }, 60_000);
  afterAll(async () => {
    if (socket !== undefined) await tmux(socket, "kill-server").catch(() => undefined);
    await world?.close();
  });

  const screen = async (): Promise<string> => (await tmux(socket, "capture-pane", "-p")).stdout;
  const shows = async (text: string): Promise<string> => {
    const endMs = Date.now() + 10_000;
    for (;;) {
      const seen = await screen();
      if (seen.includes(text)) return seen;
      if (Date.now() > endMs) throw new Error(`the terminal does not show ${JSON.stringify(text)}:\n${seen}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const keys = (...names: string[]) => tmux(socket, "send-keys", ...names);
  const infer = (rows: number, value = 1): Promise<Response> =>
    fetch(`${credit.base}/v2/models/credit/infer`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        inputs: [{ name: "rows", shape: [rows, 8], datatype: "FP64", data: new Array(rows * 8).fill(value) }],
      }),
    });

  it("shows what comes without being asked, and decides what is selected", async () => {
    await shows("Nothing waits");
    const answer = infer(200);
    await shows("scientist@bank.example  credit");
    await keys("Enter");
    const details = await shows("bulk-prediction");
    expect(details).toContain("200 rows");
    await keys("a");
    await shows("APPROVE");
    await keys("-l", "monthly run");
    await shows("monthly run");
    await keys("Enter");
    expect((await answer).status).toBe(200);
    await shows("Nothing waits");
  });

  it("denies with a reason, and a reason alone", async () => {
    const answer = infer(300);
    await shows("300 rows");
    await keys("d");
    await shows("DENY");
    await keys("Enter");
    await keys("-l", "no ticket");
    await shows("no ticket");
    await keys("Enter");
    const refused = await answer;
    expect(refused.status).toBe(403);
    expect(await refused.text()).toContain("no ticket");
  });

  it("does not decide one request with the keys for another", async () => {
    const gone = new AbortController();
    const first = fetch(`${credit.base}/v2/models/credit/infer`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        inputs: [{ name: "rows", shape: [400, 8], datatype: "FP64", data: new Array(3200).fill(2) }],
      }),
      signal: gone.signal,
    }).catch(() => undefined);
    await shows("400 rows");
    const second = infer(500);
    await shows("500 rows");
    await keys("a");
    const asked = await shows("APPROVE");
    const which = asked.includes("APPROVE infer credit, 400 rows") || /APPROVE.*400 rows/.test(asked) ? 400 : 500;
    if (which === 400) {
      gone.abort();
      await first;
      await shows("Esc goes on");
      await keys("Enter");
      await keys("Escape");
      await shows("500 rows");
      await keys("a");
      await shows("APPROVE");
      await keys("Enter");
      expect((await second).status).toBe(200);
    } else {
      await keys("Enter");
      expect((await second).status).toBe(200);
      gone.abort();
      await first;
    }
    await shows("Nothing waits");
    await keys("q");
    await shows("left=0");
  }, 40_000);
});
