import { readFileSync } from "node:fs";
import { parseVkey, readAuthorities } from "@hoopish/protocol";
import type { AnchorConfig, Config } from "../../config/config.ts";
import type { Anchor } from "../../evidence/anchors/anchor.ts";
import { fileAnchor } from "./file-anchor.ts";
import { timestampAnchor } from "./timestamp-anchor.ts";
import { witnessAnchor } from "./witness-anchor.ts";

export interface CreateAnchorsPorts {
  /** RFC 6962 §2.1.2, for 0 < from < to ≤ the log's size. */
  readonly consistency: (from: number, to: number) => Promise<readonly Uint8Array[]>;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/**
 * The anchors that the configuration names, in its order. At the start, before anything is signed:
 * `refuseIfBehind(anchors, …)`; then `new Anchors(anchors, …)` carries what is signed to them.
 * @throws Error for a CA file that cannot be read any more since the configuration was checked
 */
export function createAnchors({ evidence }: Pick<Config, "evidence">, ports: CreateAnchorsPorts): readonly Anchor[] {
  return evidence.anchors.map((anchor) => createAnchor(anchor, evidence.origin, ports));
}

function createAnchor(anchor: AnchorConfig, origin: string, ports: CreateAnchorsPorts): Anchor {
  const { now, consistency } = ports;
  const { required } = anchor;
  switch (anchor.kind) {
    case "file":
      return fileAnchor({ folder: anchor.folder, required, now });
    case "witness": {
      const [url, witness] = [new URL(anchor.url), parseVkey(anchor.vkey)];
      return witnessAnchor({ url, witness, origin, everyMs: anchor.everyMs, required, consistency, now });
    }
    case "timestamp": {
      const authorities = readAuthorities(readFileSync(anchor.caFile, "utf8"));
      return timestampAnchor({ url: new URL(anchor.url), authorities, everyMs: anchor.everyMs, required, now });
    }
  }
}
