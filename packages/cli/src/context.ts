import { join } from "node:path";
import type { TokenSource } from "./auth/token-source.ts";
import type { Settings } from "./config/settings.ts";
import type { GlobalOptions } from "./globals.ts";
import type { ApiClient } from "./http/api-client.ts";
import type { Http } from "./http/http.ts";
import type { Interrupts } from "./interrupts.ts";
import type { Output } from "./terminal/output.ts";
import { variable } from "./variable.ts";
import type { Env, World } from "./world.ts";

/** What a command gets. Everything that costs start-up time is made when it is first asked for. */
export class Context {
  readonly world: World;
  readonly globals: GlobalOptions;
  readonly output: Output;
  readonly interrupts: Interrupts;
  readonly configDir: string;
  #settings: Settings | undefined;
  #http: Http | undefined;
  #tokens: Promise<TokenSource> | undefined;

  constructor(world: World, globals: GlobalOptions, output: Output, interrupts: Interrupts) {
    this.world = world;
    this.globals = globals;
    this.output = output;
    this.interrupts = interrupts;
    this.configDir = globals.configDir ?? defaultConfigDir(world.env, world.platform, world.home);
  }

  get signal(): AbortSignal {
    return this.interrupts.signal;
  }

  async settings(): Promise<Settings> {
    const { openSettings } = await import("./config/settings.ts");
    this.#settings ??= openSettings(this.configDir, this.world.uid);
    return this.#settings;
  }

  async http(): Promise<Http> {
    const { createHttp } = await import("./http/http.ts");
    this.#http ??= createHttp(this.world.env, this.signal);
    return this.#http;
  }

  /** Origin of the server: `--server`, else HOOPISH_SERVER, else the one of the last login. @throws HoopishError usage */
  async server(): Promise<string> {
    const { parseServerUrl, noServer } = await import("./auth/server-url.ts");
    const named = this.globals.server ?? variable(this.world.env, "HOOPISH_SERVER");
    if (named !== undefined) return parseServerUrl(named);
    const saved = (await this.settings()).read().server;
    if (saved === undefined) throw noServer();
    return parseServerUrl(saved);
  }

  async tokens(): Promise<TokenSource> {
    const { createTokenSource } = await import("./auth/token-source.ts");
    this.#tokens ??= createTokenSource(this, await this.server());
    return this.#tokens;
  }

  async api(): Promise<ApiClient> {
    const { ApiClient } = await import("./http/api-client.ts");
    const tokens = await this.tokens();
    return new ApiClient(await this.http(), await this.server(), async () => (await tokens.get()).value);
  }

  async dispose(): Promise<void> {
    await this.#http?.close();
  }
}

/** HOOPISH_CONFIG_DIR; else %APPDATA% on Windows; else XDG's folder, on macOS too, where command lines keep theirs. */
function defaultConfigDir(env: Env, platform: NodeJS.Platform, home: string): string {
  const named = variable(env, "HOOPISH_CONFIG_DIR");
  if (named !== undefined) return named;
  if (platform === "win32") return join(variable(env, "APPDATA") ?? join(home, "AppData", "Roaming"), "hoopish");
  return join(variable(env, "XDG_CONFIG_HOME") ?? join(home, ".config"), "hoopish");
}
