export { main } from "./main.ts";
export { run } from "./run.ts";
export type { Env, OutputStream, StopSignal, World } from "./world.ts";
