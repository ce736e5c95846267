/** What masking of gRPC messages costs, on one core: `node --conditions=@hoopish/source bench/masking/grpc.ts`. The best of several runs each. */

import { createHmac } from "node:crypto";
import { buildPlan } from "../../src/masking/plan.ts";
import { GrpcMask } from "../../src/masking/protobuf/grpc-mask.ts";
import { PII_TYPES } from "../../src/masking/types.ts";
import { encodeFrame } from "../../src/protobuf/framing.ts";
import { GrpcSchema } from "../../src/protobuf/schema.ts";
import { encodeVarint } from "../../src/protobuf/wire.ts";

const mac = (value: string): Buffer => createHmac("sha256", "key").update(value).digest();
const plan = buildPlan([{ detect: PII_TYPES, fields: [], action: { kind: "redact" } }], undefined, mac);
const ROUNDS = 12;
const type = GrpcSchema.builtin().method("/inference.GRPCInferenceService/ModelInfer")?.response;
if (type === undefined) throw new Error("the protocol is not there");

const delimited = (field: number, value: Buffer): Buffer =>
  Buffer.concat([encodeVarint(field * 8 + 2), encodeVarint(value.length), value]);

/** A ModelInferResponse with one tensor in raw contents. */
function answer(datatype: string, raw: Buffer): Buffer {
  const tensor = Buffer.concat([delimited(1, Buffer.from("output")), delimited(2, Buffer.from(datatype))]);
  return encodeFrame(Buffer.concat([delimited(1, Buffer.from("model")), delimited(5, tensor), delimited(6, raw)]));
}

const prefixed = (text: string): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(Buffer.byteLength(text));
  return Buffer.concat([length, Buffer.from(text)]);
};
const SENTENCE =
  "The applicant's annual income and debt ratio were reviewed by the model, and the probability of default is low. ";
const texts = (count: number, length: number, end: string): Buffer =>
  Buffer.concat(
    Array.from({ length: count }, () => prefixed(SENTENCE.repeat(Math.ceil(length / 112)).slice(0, length) + end)),
  );

const inMessages = (count: number, bytes: Buffer): Buffer => Buffer.concat(Array<Buffer>(count).fill(bytes));
const floats = Buffer.from(Float32Array.from({ length: 1_536 }, (_, i) => Math.sin(i)).buffer);
const longs = Buffer.from(BigInt64Array.from({ length: 100_000 }, (_, i) => BigInt(i * 7)).buffer);

const CASES: readonly (readonly [string, Buffer, boolean])[] = [
  ["BYTES, texts of 1 KB, clean", answer("BYTES", texts(2_000, 1_000, "")), true],
  ["BYTES, texts of 1 KB, a card in each", answer("BYTES", texts(2_000, 1_000, " 4111 1111 1111 1111")), false],
  ["BYTES, words of 12 bytes, clean", answer("BYTES", texts(50_000, 12, "")), true],
  ["BYTES, JSON documents of 1 KB, clean", answer("BYTES", json(2_000)), true],
  ["FP32, embeddings of 1,536", inMessages(500, answer("FP32", floats)), true],
  ["FP32, 4 MB", answer("FP32", Buffer.alloc(4_000_000, 1)), true],
  ["INT64, small numbers", answer("INT64", longs), true],
];

function json(count: number): Buffer {
  const text = JSON.stringify({ data: Array.from({ length: 8 }, (_, i) => ({ id: `row-${i}`, note: SENTENCE })) });
  return Buffer.concat(Array.from({ length: count }, () => prefixed(text)));
}

for (const [what, bytes, clean] of CASES) {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    const mask = new GrpcMask(plan, type, { maxMessageBytes: 100_000_000 });
    const out = mask.push(bytes);
    if (round > 1) least = Math.min(least, performance.now() - start);
    if ((out === bytes) !== clean) throw new Error(`${what}: what should stay changed, or the other way round`);
  }
  process.stdout.write(`${what.padEnd(44)}${(bytes.length / least / 1_000).toFixed(0).padStart(8)} MB/s\n`);
}
