import { existsSync } from "node:fs";
import { ed25519Signer, HoopishError, parseLogKey } from "@hoopish/protocol";
import { openReader, type StoreKeys } from "../database.ts";
import { Query } from "../query.ts";
import { Seal } from "../seal.ts";
import { TreeReader } from "../tree/tree-reader.ts";
import { type Finding, LogCheck } from "./log-check.ts";
import { checkTables } from "./table-check.ts";

export interface VerifyOptions {
  readonly path: string;
  readonly keys: StoreKeys;
  /** The tables for searches too, which takes as long again. Default true. */
  readonly tables?: boolean;
}

export interface StoreVerdict {
  /** Records that were read. */
  readonly records: number;
  /** Checkpoints that fit. */
  readonly checkpoints: number;
  readonly findings: readonly Finding[];
}

/**
 * Reads a whole store, beside a running server or without one, and compares everything in it that can be: each record
 * with the tree and with each checkpoint, the end with its seal, the tables for searches with the records. Payloads are
 * not opened: an export's verifier does that. Changes nothing.
 * @throws HoopishError configuration when it cannot be read
 */
export function verifyStore({ path, keys, tables = true }: VerifyOptions): StoreVerdict {
  if (!existsSync(path)) throw new HoopishError("configuration", `there is no store ${path}`);
  try {
    const open = openReader({ role: "reader", path, keys });
    try {
      return verifyOpen(new Query(open.db), keys, tables);
    } finally {
      open.close();
    }
  } catch (cause) {
    const message = `the store ${path} cannot be read: ${(cause as Error).message}`;
    throw new HoopishError("configuration", message, { cause });
  }
}

function verifyOpen(query: Query, keys: StoreKeys, tables: boolean): StoreVerdict {
  const { origin, privateKey, previous = [] } = keys.log;
  const { size, root, findings } = readEnd(query, keys.vault);
  const log = new LogCheck(query, origin, [ed25519Signer(origin, parseLogKey(privateKey)).vkey, ...previous]);
  const broken = log.run(size);
  if (broken !== undefined) findings.push(broken);
  else if (root !== undefined && !log.tree.root().equals(root))
    findings.push({ kind: "tree", message: "the tree that is kept is not the tree of the records" });
  // Where the log itself is wrong, what the tables should show is not known.
  if (tables && broken === undefined) findings.push(...inSnapshot(query, () => checkTables(query, size)));
  return { records: log.tree.size, checkpoints: log.checkpoints, findings };
}

/** One state of the database, whatever a server writes meanwhile. */
function inSnapshot<T>(query: Query, read: () => T): T {
  query.all("BEGIN");
  try {
    return read();
  } finally {
    query.all("COMMIT");
  }
}

interface End {
  readonly size: number;
  /** As the kept nodes have it; undefined: they have holes. */
  readonly root: Buffer | undefined;
  readonly findings: Finding[];
}

/** What a running server changes with each batch. */
function readEnd(query: Query, vaultKey: Uint8Array): End {
  return inSnapshot(query, () => {
    const state = (name: string): number =>
      query.get<{ value: number }>("SELECT value FROM state WHERE name = ?", name)?.value ?? 0;
    const tree = new TreeReader(query);
    const size = tree.size();
    const newest = query.get<{ size: number | null }>("SELECT max(size) AS size FROM checkpoints")?.size ?? 0;
    const findings: Finding[] = [];
    if (newest > size) findings.push({ kind: "end", message: `it holds ${size} records, and ${newest} were signed` });
    try {
      const root = tree.root(size);
      tree.checkKept(size);
      new Seal(query, undefined, vaultKey).check({ size, root, intake: state("intake"), serial: state("serial") });
      return { size, root, findings };
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (code !== "HOOPISH_LOG") throw error;
      return { size, root: undefined, findings: [...findings, { kind: "end", message }] };
    }
  });
}
