import { commandComplete, dataRow, rowDescription } from "@hoopish/protocol/postgres";
import { buildPlan } from "../../src/masking/plan.ts";
import { RowsMask } from "../../src/masking/rows/rows-mask.ts";
import type { PiiType } from "../../src/masking/types.ts";

/** `npm run bench:rows -w packages/server`: MB/s of rows of ten columns, masked on one core. */

const COLUMNS = [
  { name: "id", typeOid: 23 },
  { name: "amount", typeOid: 23 },
  { name: "ratio", typeOid: 701 },
  { name: "seen_at", typeOid: 1184 },
  { name: "branch", typeOid: 25 },
  { name: "remark", typeOid: 25 },
  { name: "open", typeOid: 16 },
  { name: "account_ref", typeOid: 20 },
  { name: "currency", typeOid: 25 },
  { name: "score", typeOid: 701 },
];
const WANTED: PiiType[] = ["US_SSN", "CREDIT_CARD", "EMAIL", "PHONE", "IBAN", "US_BANK_ACCOUNT", "PERSON"];
const ROWS = 200_000;
const A_CHUNK = 500;

const plan = buildPlan([{ detect: WANTED, fields: [], action: { kind: "redact" } }], undefined, () => Buffer.alloc(32));
const text = (value: unknown): Buffer => Buffer.from(String(value));
const row = (i: number, remark: string): Buffer =>
  dataRow(
    [
      i,
      i * 7,
      (i / 3).toFixed(12),
      "2026-03-02 09:00:00.123456+00",
      `branch ${i % 100}`,
      remark,
      "t",
      i * 13,
      "EUR",
      0.123456789,
    ].map(text),
  );

for (const [what, remark] of [
  ["clean", (i: number) => `a short remark of row ${i}`],
  ["an SSN in each", (i: number) => `SSN 219-09-${1_000 + (i % 9_000)} of row ${i}`],
] as const) {
  const chunks: Buffer[] = [];
  for (let i = 0; i < ROWS; i += A_CHUNK) {
    chunks.push(Buffer.concat(Array.from({ length: A_CHUNK }, (_, n) => row(i + n, remark(i + n)))));
  }
  const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
  for (let round = 0; round < 3; round++) {
    const mask = new RowsMask(plan, { uninspectable: "block", unseen: () => undefined });
    mask.push(rowDescription(COLUMNS));
    const start = performance.now();
    for (const chunk of chunks) mask.push(chunk);
    mask.push(commandComplete(`SELECT ${ROWS}`));
    const seconds = (performance.now() - start) / 1_000;
    if (round === 2) process.stdout.write(`${what}: ${(bytes / 1e6 / seconds).toFixed(0)} MB/s\n`);
  }
}
