import { exportLog } from "../world/log.ts";
import { run } from "../world/program.ts";
import { type Connected, World } from "../world/world.ts";
import { compare } from "./ledger.ts";
import { Seeded } from "./seeded.ts";
import { type Received, Traffic } from "./traffic.ts";

export interface ChaosOptions {
  readonly kills: number;
  readonly seed: number;
  /** How many kills there are between two looks at the log. There is one at the end in any case. */
  readonly lookEvery: number;
  /** How often it is killed again while it starts. Default 0.25. */
  readonly killStarts?: number;
  /** Hears of each kill and each look. */
  readonly say: (line: string) => void;
}

export interface ChaosResult {
  readonly kills: number;
  /** Of these, while the server was starting. */
  readonly inStart: number;
  /** Calls of which a client has seen at least the beginning of an answer. */
  readonly calls: number;
  readonly broken: number;
  readonly deliveredBytes: number;
  readonly records: number;
  readonly interrupted: number;
}

const LONGEST_MS = 600;
const START_MS = 900;

/**
 * Kills a server under load with kill -9, again and again, and starts it again each time: what clients were given must be
 * in the log, every call must have an end, no record may be missing, and the log must fit everything that was signed.
 * @throws Error that says what is wrong, with the seed
 */
export async function chaos(options: ChaosOptions): Promise<ChaosResult> {
  const world = await World.start();
  try {
    await world.signIn("scientist");
    await world.signIn("audit");
    const chat = await world.connect("scientist", "chat");
    return await new Chaos(world, chat, options).run();
  } finally {
    await world.close();
  }
}

class Chaos {
  readonly #world: World;
  #chat: Connected;
  readonly #options: ChaosOptions;
  readonly #random: Seeded;
  readonly #received: Received[] = [];
  #unseen: Received[] = [];
  #since = new Date(Date.now() - 60_000).toISOString();
  #inStart = 0;
  #records = 0;
  #interrupted = 0;

  constructor(world: World, chat: Connected, options: ChaosOptions) {
    this.#world = world;
    this.#chat = chat;
    this.#options = options;
    this.#random = new Seeded(options.seed);
  }

  async run(): Promise<ChaosResult> {
    const { kills, lookEvery, say } = this.#options;
    for (let kill = 1; kill <= kills; kill++) {
      const afterMs = this.#random.between(0, LONGEST_MS);
      const received = await this.#kill(afterMs);
      this.#unseen.push(...received);
      const broken = received.filter(({ whole }) => !whole).length;
      say(`kill ${kill}/${kills} after ${afterMs} ms: ${received.length} calls, ${broken} broken`);
      await this.#restart();
      if (kill % lookEvery === 0 || kill === kills) await this.#look();
    }
    await this.#verifyBundle();
    const calls = this.#received.filter(({ call }) => call !== "");
    return {
      kills,
      inStart: this.#inStart,
      calls: calls.length,
      broken: calls.filter(({ whole }) => !whole).length,
      deliveredBytes: calls.reduce((sum, { bytes }) => sum + bytes.length, 0),
      records: this.#records,
      interrupted: this.#interrupted,
    };
  }

  async #kill(afterMs: number): Promise<readonly Received[]> {
    const traffic = new Traffic(this.#chat.base, this.#random);
    await sleep(afterMs);
    const { server } = this.#world;
    server.child.kill("SIGKILL");
    await server.ended;
    return traffic.stop();
  }

  async #restart(): Promise<void> {
    // Now and then the machine is not done with it: killed again while it starts and recovers.
    while (this.#random.chance(this.#options.killStarts ?? 0.25)) {
      const starting = this.#world.startServer().catch(() => undefined);
      await sleep(this.#random.between(0, START_MS));
      this.#world.server.child.kill("SIGKILL");
      await this.#world.server.ended;
      await starting;
      this.#inStart += 1;
    }
    await this.#world.startServer();
    // Agent and CLI would come back by themselves, after waits that grow when a server dies again and again.
    for (const { child } of [this.#world.agent, this.#chat.program]) child.kill("SIGKILL");
    const [agent, chat] = await Promise.all([
      this.#world.startAgent("edge-1"),
      this.#world.connect("scientist", "chat"),
    ]);
    this.#world.agent = agent;
    this.#chat = chat;
  }

  async #look(): Promise<void> {
    const untilMs = Date.now();
    const exported = await exportLog(this.#world, this.#since);
    const wrong = compare(this.#unseen, exported);
    if (wrong.length > 0) throw this.#failure(wrong.slice(0, 20).join("\n"));
    // The server reads its whole store beside itself, and compares it with all that was signed.
    const verify = run("hoopish-server", ["verify", "--config", this.#world.path("server.yaml")]);
    const { code } = await verify.ended;
    if (code !== 0) throw this.#failure(`verify ended with ${code}: ${verify.stdout}${verify.stderr}`);
    this.#options.say(`looked at ${exported.records.length} records; ${verify.stdout.trim()}`);
    this.#records += exported.records.length;
    this.#interrupted += exported.records.filter(({ type }) => type === "call.interrupted").length;
    this.#received.push(...this.#unseen.map(({ bytes, ...rest }) => ({ ...rest, bytes: Buffer.alloc(bytes.length) })));
    this.#unseen = [];
    this.#since = new Date(untilMs).toISOString();
  }

  /** As an examiner would, who has nothing but the key. */
  async #verifyBundle(): Promise<void> {
    const file = this.#world.path("all.tar.gz");
    const made = await this.#world.cli("audit", ["audit", "export", "--since", "24h", "-o", file]);
    if (made.code !== 0) throw this.#failure(`audit export ended with ${made.code}: ${made.stderr}`);
    const checked = await this.#world.cli("audit", ["audit", "verify", file, "--key", this.#world.vkey]);
    if (checked.code !== 0) throw this.#failure(`audit verify ended with ${checked.code}: ${checked.stdout}`);
    this.#options.say(checked.stdout.trim());
  }

  #failure(what: string): Error {
    return new Error(`with seed ${this.#options.seed}: ${what}`);
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
