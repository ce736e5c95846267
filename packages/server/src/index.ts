export { openSqliteStore } from "./adapters/sqlite/store.ts";
export type { Config } from "./config/config.ts";
export { checkConfig, loadConfig } from "./config/load.ts";
export { actorOf } from "./identity/actor.ts";
export { createIdentity } from "./identity/identity.ts";
export { type HoopishServer, type ServerPorts, startServer } from "./server.ts";
