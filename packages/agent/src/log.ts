import { type DestinationStream, pino } from "pino";
import type { LogLevel } from "./config/config.ts";

/** What the agent logs through. Fields are ids, names, codes, counts and times: never headers, bodies or credentials. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  isLevelEnabled(level: LogLevel): boolean;
}

/** JSON lines, one an event. */
export function createLog(level: LogLevel, to: DestinationStream): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    to,
  );
}
