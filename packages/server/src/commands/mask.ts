import { createHmac, randomBytes } from "node:crypto";
import { HoopishError } from "@hoopish/protocol";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { ownPatterns } from "../masking/own-patterns.ts";
import { buildPlan, type MaskPlan } from "../masking/plan.ts";
import { Tally } from "../masking/tally.ts";
import { TextMask } from "../masking/text-mask.ts";
import { PII_TYPES, SCORES } from "../masking/types.ts";
import { world } from "./world.ts";

interface MaskOptions {
  /** Print what was found, one a line, and not the text. */
  readonly findings: boolean;
  /** Feed so many UTF-16 units at a time: what comes out must be the same. */
  readonly split: number | undefined;
}

/** Masks a text, as an answer would be. @param write gets text, or a finding a line */
async function maskText(
  input: AsyncIterable<Buffer>,
  plan: MaskPlan,
  { findings, split }: MaskOptions,
  write: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const onFound = (type: string, start: number, end: number): void => {
    const score = (SCORES as Readonly<Record<string, number>>)[type] ?? 1;
    write(`${JSON.stringify({ type, start, end, score })}\n`);
  };
  const mask = new TextMask(plan, new Tally(plan), false, "", findings ? onFound : undefined);
  const feed = (text: string, final: boolean): void => {
    const size = split ?? text.length;
    for (let at = 0; at < text.length; at += size) {
      const out = mask.push(text.slice(at, at + size), false);
      if (!findings) write(out);
    }
    if (final && !findings) write(mask.push("", true));
    else if (final) mask.push("", true);
  };
  for await (const chunk of input) feed(decoder.decode(chunk, { stream: true }), false);
  feed(decoder.decode(), true);
}

/** Every detector; or, with a configuration, what its masking rules for answers look for, or those of one connection. */
function planFor(config: Config | undefined, connection: string | undefined): MaskPlan {
  // A value has one pseudonym in one run, and another one in the next.
  const key = randomBytes(32);
  const mac = (value: string): Buffer => createHmac("sha256", key).update(value).digest();
  if (config === undefined)
    return buildPlan([{ detect: PII_TYPES, fields: [], action: { kind: "redact" } }], undefined, mac);
  const rules = config.masking.filter(
    (rule) =>
      rule.direction === "response" &&
      (connection === undefined || rule.connections.includes("*") || rule.connections.includes(connection)),
  );
  const own = rules.flatMap(({ patterns, action }) => patterns.map((pattern) => ({ ...pattern, action })));
  return buildPlan(rules, ownPatterns(own), mac);
}

/** Text on standard input, masked on standard output. */
export async function mask(options: {
  config?: string;
  connection?: string;
  findings?: boolean;
  split?: number;
}): Promise<void> {
  const { config, connection, findings = false, split } = options;
  if (split !== undefined && !(Number.isInteger(split) && split > 0)) {
    throw new HoopishError("usage", "--split takes a whole number of at least 1", { hint: "--split 1" });
  }
  const plan = planFor(config === undefined ? undefined : loadConfig(config, world), connection);
  await maskText(process.stdin, plan, { findings, split }, (text) => void process.stdout.write(text));
}
