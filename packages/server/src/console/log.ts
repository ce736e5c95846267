import { formatTlogProof, HoopishError } from "@hoopish/protocol";
import { Hono } from "hono";
import type { ConsoleEnv, ConsolePorts } from "./context.ts";
import { visibleCall } from "./visible-calls.ts";

const BASE64 = "base64";

/**
 * The log's proofs. They tell how many records there are and nothing that stands in them, so whoever is signed in may have
 * them: many eyes that remember a checkpoint are what keeps a log from going back.
 */
export function logRoutes(ports: ConsolePorts): Hono<ConsoleEnv> {
  const routes = new Hono<ConsoleEnv>();

  routes.get("/log/checkpoint", (context) => context.text(ports.tree.newest().note));

  /** How the log is doing: what was signed last, and what has reached which anchor. */
  routes.get("/log/status", (context) => {
    const { origin, vkey } = ports.tree;
    const { size, timeMs } = ports.tree.newest();
    const anchors = ports.anchors.status();
    return context.json({ origin, vkey, size, signedAt: new Date(timeMs).toISOString(), anchors });
  });

  routes.get("/log/consistency", async (context) => {
    const { from, to } = context.req.query();
    const proof = await ports.tree.consistency(treeSize(from, "from"), treeSize(to, "to"));
    return context.json({ proof: proof.map(toBase64) });
  });

  /** C2SP tlog-proof of the record that decided a call, or of another of its records, in a checkpoint that covers it. */
  routes.get("/audit/calls/:id/receipt", async (context) => {
    const story = await visibleCall(context.get("caller"), context.req.param("id"), ports);
    const wanted = context.req.query("type") ?? "call.decided";
    const record = story.records.find(({ leaf }) => (JSON.parse(leaf) as { type?: string }).type === wanted);
    if (record === undefined) throw new HoopishError("not_found", "this call has no such record");
    const checkpoint = record.index < ports.tree.newest().size ? ports.tree.newest() : await ports.tree.sign();
    const proof = await ports.tree.inclusion(record.index, checkpoint.size);
    return context.json({
      index: record.index,
      leaf: record.leaf,
      vkey: ports.tree.vkey,
      proof: formatTlogProof({
        index: record.index,
        proof: proof,
        checkpoint: checkpoint.note,
      }),
    });
  });
  return routes;
}

const toBase64 = (hash: Uint8Array): string => Buffer.from(hash).toString(BASE64);

/** @throws HoopishError bad_request */
function treeSize(text: string | undefined, name: string): number {
  if (text === undefined || !/^(0|[1-9]\d{0,15})$/.test(text)) {
    throw new HoopishError("bad_request", `${name} is a number of records`);
  }
  return Number(text);
}
