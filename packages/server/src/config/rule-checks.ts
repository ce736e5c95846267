import { parseDurationMs } from "@hoopish/protocol";
import { conditionProblem } from "../conditions/condition.ts";
import type { Finding, Path } from "./mistake.ts";
import type { View } from "./view.ts";

/** What the parts of one rule demand of each other. */
export function checkRule(view: View, rule: Path): Finding[] {
  const findings: Finding[] = [];
  const at = (key: string, message: string): void => {
    const path = [...rule, key];
    findings.push(view.has(path) ? { path, message } : { path: rule, message });
  };
  const then = view.text([...rule, "then"]);
  const when = view.text([...rule, "when"]);
  const has = (key: string): boolean => view.has([...rule, key]);
  const problem = when === undefined ? undefined : conditionProblem(when);
  if (problem !== undefined) at("when", problem);
  if (then === "hold" && !has("approval")) at("approval", "a hold needs approval: who may settle it");
  if (then !== undefined && then !== "hold" && has("approval")) at("approval", "approval belongs to a hold alone");
  if (then !== undefined && then !== "block" && has("message")) at("message", "a message belongs to a block alone");
  if (has("rate") && ["calls", "rows", "tokens"].every((key) => !view.has([...rule, "rate", key]))) {
    at("rate", "a rate counts calls, rows or tokens: name one");
  }
  const wait = durationAt(view, [...rule, "approval", "wait"]) ?? 120_000;
  const expires = durationAt(view, [...rule, "approval", "expires"]) ?? 3_600_000;
  if (has("approval") && wait > expires) at("approval", "wait is longer than expires: nobody can wait past the end");
  if (view.text([...rule, "approval", "scope"]) !== "session" && view.has([...rule, "approval", "window"])) {
    findings.push({ path: [...rule, "approval", "window"], message: "a window belongs to scope: session" });
  }
  return findings;
}

function durationAt(view: View, path: Path): number | undefined {
  try {
    return parseDurationMs(view.text(path) ?? "");
  } catch {
    return undefined;
  }
}
