import { spawn } from "node:child_process";
import { isCi } from "../terminal/style.ts";
import type { World } from "../world.ts";

/** Whether this is a desktop where a window may be opened: not CI, not over SSH, not without a display. */
export function hasDesktop(world: Pick<World, "env" | "platform">): boolean {
  const { env, platform } = world;
  if (isCi(env) || env.SSH_CONNECTION || env.SSH_TTY || env.SSH_CLIENT) return false;
  if (platform === "darwin" || platform === "win32") return true;
  return Boolean(env.DISPLAY || env.WAYLAND_DISPLAY);
}

/** Opens the address in the person's browser, if that can be done; the address was printed in any case. */
export function openBrowser(world: Pick<World, "env" | "platform">, address: string): void {
  // Only an http address, as the URL parser writes it: it reaches programs that would run other things.
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) return;
  const [command, ...args] = opener(world.platform);
  const child = spawn(command, [...args, url.href], { env: world.env, stdio: "ignore", detached: true });
  child.on("error", () => {});
  child.unref();
}

/** On Windows no `start`: it belongs to cmd.exe, which would read the `&` of a query as a command of its own. */
function opener(platform: NodeJS.Platform): [string, ...string[]] {
  if (platform === "darwin") return ["open"];
  if (platform === "win32") return ["rundll32.exe", "url.dll,FileProtocolHandler"];
  return ["xdg-open"];
}
