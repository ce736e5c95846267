export { type AgentPorts, type AgentState, type RunningAgent, startAgent } from "./agent.ts";
export type {
  AgentConfig,
  AgentIdentity,
  ConnectionConfig,
  CredentialConfig,
  CredentialPlace,
  CredentialSourceConfig,
  LogLevel,
  Mistake,
  Target,
  TargetTls,
  TemplatePart,
} from "./config/config.ts";
export type { Surroundings } from "./config/expand.ts";
export { ConfigError, loadConfig, loadIdentity, type ReadResult, readConfig } from "./config/load.ts";
export { type JoinOptions, type JoinResult, join } from "./join.ts";
export { createLog, type Log } from "./log.ts";
