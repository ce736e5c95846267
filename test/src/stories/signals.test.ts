import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../world/program.ts";
import { World } from "../world/world.ts";

/** SIGINT in every command: it ends soon, without a stack trace, with 130 (or 0 where the end is orderly). */

let world: World;
let silent: Server;
let silentUrl: string;
beforeAll(async () => {
  world = await World.start();
  await world.signIn("scientist");
  await world.signIn("audit");
  // Takes requests and never answers: whatever a command waits for, it waits.
  silent = createServer(() => undefined).listen(0, "127.0.0.1");
  await once(silent, "listening");
  silentUrl = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
});
afterAll(async () => {
  silent?.closeAllConnections();
  silent?.close();
  await world?.close();
});

const ENDS_ITSELF_MS = 3_000;

describe("SIGINT", () => {
  it.each([
    ["login", ["login", "--insecure-storage", "--no-open"]],
    ["logout", ["logout"]],
    ["whoami", ["whoami"]],
    ["connections", ["connections"]],
    ["sessions list", ["sessions", "list"]],
    ["audit list", ["audit", "list"]],
    ["audit export", ["audit", "export", "--since", "1h"]],
    ["agent list", ["agent", "list"]],
    ["doctor", ["doctor"]],
    ["connect", ["connect", "chat", "--port", "0"]],
  ])("hoopish %s", async (_name, args) => {
    const env = {
      ...world.env("scientist"),
      HOOPISH_SERVER: silentUrl,
      HOOPISH_TOKEN: await world.idp.mintAccessToken("scientist@bank.example"),
    };
    const program = run("hoopish", args, { env });
    await new Promise((resolve) => setTimeout(resolve, 900));
    const startedMs = Date.now();
    const { code } = await program.stop("SIGINT");
    expect(Date.now() - startedMs).toBeLessThan(ENDS_ITSELF_MS);
    expect(program.stderr).not.toMatch(/\n\s+at /);
    // A command that does not wait for the server may have ended in its own way before the signal.
    expect([0, 130, 1, 3, 4, 7]).toContain(code);
  });

  it("ends a session in order: connect says closed, the log says who closed it", async () => {
    const chat = await world.connect("scientist", "chat");
    const { code } = await chat.program.stop("SIGINT");
    expect([0, 130]).toContain(code);
    expect(chat.program.events.at(-1)).toMatchObject({ event: "closed" });
    const shown = await world.cli("audit", ["sessions", "show", chat.session, "--json"]);
    expect(JSON.parse(shown.stdout)).toMatchObject({ state: "closed", closeReason: "closed by its owner" });
  });

  it("reaches the command that connect runs", async () => {
    const program = run(
      "hoopish",
      [
        "connect",
        "chat",
        "--port",
        "0",
        "--",
        process.execPath,
        "-e",
        "console.log('up'); setInterval(() => {}, 1000)",
      ],
      { env: world.env("scientist") },
    );
    await program.until(() => (program.stdout.includes("up") ? true : undefined));
    const { code } = await program.stop("SIGINT");
    expect(code).toBe(130);
  });

  it.each(["hoopish-server", "hoopish-agent"] as const)("ends %s in order", async (name) => {
    const program = name === "hoopish-agent" ? world.agent : world.server;
    expect(await program.stop("SIGINT")).toMatchObject({ code: 0 });
  });
});
