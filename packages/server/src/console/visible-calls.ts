import { type CallStory, HoopishError, isCallId } from "@hoopish/protocol";
import type { Caller, ConsolePorts } from "./context.ts";

/** Auditors see every call, everybody else their own. */
export const seesAll = (caller: Caller): boolean => caller.roles.includes("auditor");

/** @throws HoopishError not_found, also for a call that this caller may not see: that it exists is information */
export async function visibleCall(caller: Caller, id: string, ports: ConsolePorts): Promise<CallStory> {
  const story = isCallId(id) ? await ports.reader.call(id) : undefined;
  if (story === undefined || (!seesAll(caller) && story.call.user !== caller.principal.user)) {
    throw new HoopishError("not_found", "no such call");
  }
  if (seesAll(caller)) return story;
  // That a call is held may tell somebody of an inquiry into himself.
  const { holds: _, ...rest } = story;
  return rest;
}
