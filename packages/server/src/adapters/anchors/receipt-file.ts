import { HoopishError } from "@hoopish/protocol";
import { z } from "zod";
import type { AnchorReceipt } from "../../evidence/anchors/anchor.ts";
import { DailyFile } from "./daily-file.ts";

const common = { time: z.string(), anchor: z.string(), note: z.string() };
const lineSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("cosigned"), ...common }),
  z.strictObject({ kind: z.literal("timestamp"), ...common, response: z.base64(), genTime: z.string() }),
]);

/** Receipts of the anchors (cosigned checkpoints, timestamps) as lines in the files of a folder. */
export class ReceiptFile {
  readonly #folder: string;
  readonly #file: DailyFile;
  readonly #now: () => number;

  constructor(folder: string, now: () => number) {
    this.#folder = folder;
    this.#file = new DailyFile(folder, "receipts", now);
    this.#now = now;
  }

  /** Durable when it resolves. */
  async keep(anchor: string, receipt: AnchorReceipt): Promise<void> {
    const common = { kind: receipt.kind, time: new Date(this.#now()).toISOString(), anchor, note: receipt.note };
    if (receipt.kind === "cosigned") return await this.#file.append(JSON.stringify(common));
    const genTime = new Date(receipt.genTimeMs).toISOString();
    await this.#file.append(JSON.stringify({ ...common, response: receipt.response.toString("base64"), genTime }));
  }

  /**
   * The newest receipt, up to a time (Unix milliseconds), of each anchor that has one in the newest file with any: for
   * exports, which are made again and must be the same then.
   */
  async newest(untilMs: number): Promise<ReadonlyMap<string, AnchorReceipt>> {
    const newest = new Map<string, AnchorReceipt>();
    const inTime = (line: string): boolean => this.#read(line).keptMs <= untilMs;
    for await (const line of this.#file.newestLines(inTime)) {
      const { anchor, receipt } = this.#read(line);
      newest.set(anchor, receipt);
    }
    return newest;
  }

  #read(line: string): { readonly anchor: string; readonly keptMs: number; readonly receipt: AnchorReceipt } {
    try {
      const read = lineSchema.parse(JSON.parse(line));
      const { anchor, note } = read;
      const keptMs = Date.parse(read.time);
      if (read.kind === "cosigned") return { anchor, keptMs, receipt: { kind: read.kind, note } };
      const response = Buffer.from(read.response, "base64");
      return { anchor, keptMs, receipt: { kind: read.kind, note, response, genTimeMs: Date.parse(read.genTime) } };
    } catch (cause) {
      throw new HoopishError("evidence_unavailable", `a receipt in ${this.#folder} is not what was written there`, {
        cause,
      });
    }
  }
}
