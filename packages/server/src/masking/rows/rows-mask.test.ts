import {
  bind,
  commandComplete,
  dataRow,
  errorFields,
  errorResponse,
  locateCells,
  MessageReader,
  noticeResponse,
  notificationResponse,
  parameterStatus,
  readyForQuery,
  rowDescription,
} from "@hoopish/protocol/postgres";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseFieldPath } from "../field-path.ts";
import { type Action, buildPlan, type MaskPlan } from "../plan.ts";
import { Tally } from "../tally.ts";
import { TextMask } from "../text-mask.ts";
import type { PiiType } from "../types.ts";
import { DullTexts, nameSays } from "./dull.ts";
import { RowsMask } from "./rows-mask.ts";

const WANTED: PiiType[] = [
  "US_SSN",
  "CREDIT_CARD",
  "EMAIL",
  "PHONE",
  "IBAN",
  "US_BANK_ACCOUNT",
  "PERSON",
  "IP_ADDRESS",
  "DATE_OF_BIRTH",
];
const mac = (): Buffer => Buffer.alloc(32);
const planOf = (
  detect: readonly PiiType[] = WANTED,
  fields: readonly string[] = [],
  action: Action = { kind: "redact" },
): MaskPlan =>
  buildPlan(
    [
      {
        detect,
        fields: fields.map((field) => parseFieldPath(field) as Exclude<ReturnType<typeof parseFieldPath>, string>),
        action,
      },
    ],
    undefined,
    mac,
  );
const TEXT = 25;
interface Column {
  readonly name: string;
  readonly typeOid: number;
  readonly format?: number;
}
const mask = (
  plan: MaskPlan,
  uninspectable: "block" | "allow" = "block",
  unseen: (why: string) => void = () => undefined,
) => new RowsMask(plan, { uninspectable, unseen });

/** Cells of the rows that come out; null is NULL. */
function masked(
  columns: readonly Column[],
  rows: readonly (string | Buffer | null)[][],
  plan = planOf(),
): (string | null)[][] {
  const rowsMask = mask(plan);
  const given = rows.map((row) => dataRow(row.map((cell) => (typeof cell === "string" ? Buffer.from(cell) : cell))));
  const out = rowsMask.push(
    Buffer.concat([rowDescription(columns), ...given, commandComplete(`SELECT ${rows.length}`), readyForQuery("I")]),
  );
  const cells = new Int32Array(64);
  return new MessageReader({ side: "backend", maxMessageBytes: 1_000_000 })
    .push(out)
    .filter(({ type }) => type === "D")
    .map(({ body }) =>
      Array.from({ length: locateCells(body, cells) }, (_, i) => {
        const [at = 0, length = 0] = [cells[i * 2], cells[i * 2 + 1]];
        return length < 0 ? null : body.toString("utf8", at, at + length);
      }),
    );
}
const one = (column: Column, cell: string | Buffer | null, plan = planOf()): string | null | undefined =>
  masked([column], [[cell]], plan)[0]?.[0];
const int8 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};

describe("cells", () => {
  it.each([
    ["ssn", "219-09-9999", "[US_SSN]"],
    ["ssn", "219099999", "[US_SSN]"],
    ["notes", "reach her at a.b@example.com today", "reach her at [EMAIL] today"],
    ["notes", "card 4111 1111 1111 1111", "card [CREDIT_CARD]"],
    ["customer_name", "maria", "[PERSON]"],
    ["name", "Maria Delgado", "[PERSON]"],
    ["name", "Credit Model", "Credit Model"],
    ["notes", "", ""],
    ["notes", "２１９-０９-９９９９ is her SSN", "[US_SSN] is her SSN"],
  ])("of %s: %s", (name, cell, expected) => {
    expect(one({ name, typeOid: TEXT }, cell)).toBe(expected);
    expect(one({ name, typeOid: TEXT, format: 1 }, cell)).toBe(expected);
  });

  it("keep NULLs, and rows around them", () => {
    const columns = [
      { name: "id", typeOid: 23 },
      { name: "ssn", typeOid: TEXT },
    ];
    expect(
      masked(columns, [
        ["1", null],
        [null, "219-09-9999"],
        ["3", "x"],
      ]),
    ).toEqual([
      ["1", null],
      [null, "[US_SSN]"],
      ["3", "x"],
    ]);
  });

  it("of numbers become NULL where they are somebody's, and stay else", () => {
    expect(one({ name: "card", typeOid: 20 }, "4111111111111111")).toBeNull();
    expect(one({ name: "card", typeOid: 20, format: 1 }, int8(4_111_111_111_111_111n))).toBeNull();
    expect(one({ name: "ssn", typeOid: 23 }, "219099999")).toBeNull();
    expect(one({ name: "amount", typeOid: 23 }, "219099999")).toBe("219099999");
    expect(one({ name: "amount", typeOid: 1700 }, "18000.25")).toBe("18000.25");
  });

  it.each([
    ["numeric", 1700, "219099999", null],
    ["an amount", 1700, "219099999.00", "219099999.00"],
    ["a short float", 701, "21909999", "21909999"],
    ["numeric with cents", 1700, "219099999.01", "219099999.01"],
    ["float8", 701, "219099999", null],
    ["float8 with a fraction", 701, "219099999.5", "219099999.5"],
    ["negative", 701, "-219099999", "-219099999"],
    ["no number", 701, "Infinity", "Infinity"],
  ])("of numbers of other types too: %s", (_, typeOid, cell, expected) => {
    expect(one({ name: "ssn", typeOid }, cell)).toBe(expected);
    expect(one({ name: "ratio", typeOid }, cell)).toBe(cell);
  });

  it("of numbers in an exponent's form, or in binary", () => {
    expect(one({ name: "card", typeOid: 701 }, "4.111111111111111e+15")).toBeNull();
    expect(one({ name: "card", typeOid: 701 }, "4.1e-15")).toBe("4.1e-15");
    const double = (value: number): Buffer => {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleBE(value);
      return bytes;
    };
    const numeric = (weight: number, sign: number, ...digits: number[]): Buffer => {
      const bytes = Buffer.alloc(8 + 2 * digits.length);
      [digits.length, weight & 0xffff, sign, 0, ...digits].forEach((value, i) => {
        bytes.writeUInt16BE(value, i * 2);
      });
      return bytes;
    };
    const binary = (name: string, typeOid: number, cell: Buffer): boolean =>
      one({ name, typeOid, format: 1 }, cell) === null;
    expect(binary("ssn", 701, double(219_099_999))).toBe(true);
    expect(binary("ssn", 701, double(219_099_999.5))).toBe(false);
    expect(binary("ssn", 701, double(Number.NaN))).toBe(false);
    expect(binary("ratio", 701, double(219_099_999))).toBe(false);
    // 219099999 is 2 1909 9999, the first of which counts 10,000 ².
    expect(binary("ssn", 1700, numeric(2, 0, 2, 1909, 9999))).toBe(true);
    expect(binary("ssn", 1700, numeric(1, 0, 2, 1909, 9999))).toBe(false);
    expect(binary("ssn", 1700, numeric(2, 0x4000, 2, 1909, 9999))).toBe(false);
    expect(binary("ssn", 1700, numeric(0, 0xc000))).toBe(false);
    for (const [typeOid, length] of [
      [1700, 7],
      [701, 4],
      [700, 8],
      [20, 3],
    ] as const) {
      expect(() => one({ name: "x", typeOid, format: 1 }, Buffer.alloc(length, 1))).toThrow("no good length");
    }
  });

  it("of JSON are masked as JSON, escapes and all", () => {
    const column = { name: "doc", typeOid: 3802 };
    expect(one(column, '{"ssn": "219\\u002d09-9999", "n": 1}')).toBe('{"ssn": "[US_SSN]", "n": 1}');
    const binary = Buffer.concat([Buffer.from([1]), Buffer.from('{"mail":"a@example.com"}')]);
    expect(one({ ...column, format: 1 }, binary)?.slice(1)).toBe('{"mail":"[EMAIL]"}');
  });

  it("of arrays of texts are masked one by one", () => {
    expect(one({ name: "notes", typeOid: 1009 }, '{"SSN 219-09-9999",x}')).toBe('{"SSN [US_SSN]",x}');
    const element = (text: string): Buffer => {
      const head = Buffer.alloc(4);
      head.writeInt32BE(Buffer.byteLength(text));
      return Buffer.concat([head, Buffer.from(text)]);
    };
    const head = Buffer.from([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 2, 0, 0, 0, 1]);
    const array = Buffer.concat([head, element("SSN 219-09-9999"), element("x")]);
    const out = one({ name: "notes", typeOid: 1009, format: 1 }, array);
    expect(out).toContain("SSN [US_SSN]");
    expect(out?.endsWith("x")).toBe(true);
  });

  it("that a rule names go, whatever is in them", () => {
    const plan = planOf([], ["$.remark", "$..score"]);
    const columns = [
      { name: "remark", typeOid: TEXT },
      { name: "score", typeOid: 701 },
      { name: "other", typeOid: TEXT },
    ];
    expect(masked(columns, [["anything", "0.5", "anything"]], plan)).toEqual([["[FIELD]", null, "anything"]]);
  });

  it("that are no texts and nobody's stay as they are: floats, times, UUIDs, embeddings", () => {
    const columns = [
      { name: "ssn", typeOid: 701 },
      { name: "at", typeOid: 1184 },
      { name: "id", typeOid: 2950 },
      { name: "embedding", typeOid: 1022 },
      { name: "open", typeOid: 16 },
    ];
    const row = [
      "219099999.5",
      "2026-03-02 09:00:00+00",
      "219099999-0000-4000-8000-000000000000",
      "{0.1234567890,-0.4}",
      "t",
    ];
    expect(masked(columns, [row])).toEqual([row]);
  });
});

describe("what cannot be looked into", () => {
  it.each([
    ["bytea", { name: "photo", typeOid: 17 }],
    ["a binary type that nobody knows", { name: "x", typeOid: 99_999, format: 1 }],
  ])("%s is refused, or named", (_what, column) => {
    const bytes = Buffer.concat([rowDescription([column]), dataRow([Buffer.from("\\x00")])]);
    expect(() => mask(planOf()).push(bytes)).toThrow(/cannot be looked into/);
    const seen: string[] = [];
    expect(mask(planOf(), "allow", (why) => seen.push(why)).push(bytes)).toEqual(bytes);
    expect(seen).toHaveLength(1);
  });

  it("whole rows in a cell are refused, or named: no name says there what a value is", () => {
    for (const [typeOid, cell] of [
      [2249, "(1,maria)"],
      [2287, '{"(1,maria)"}'],
      [16_500, "(1,maria)"],
      [16_501, "{(maria)}"],
    ] as const) {
      const bytes = Buffer.concat([rowDescription([{ name: "applicants", typeOid }]), dataRow([Buffer.from(cell)])]);
      expect(() => mask(planOf()).push(bytes)).toThrow("a row in a cell");
      const said: string[] = [];
      expect(mask(planOf(), "allow", (why) => said.push(why)).push(bytes)).toBe(bytes);
      expect(said).toEqual(["a row in a cell: let the columns come as columns"]);
    }
    // A text in brackets, an enum, a vector, a range.
    for (const [typeOid, cell] of [
      [TEXT, "(see below)"],
      [16_500, "open"],
      [16_500, "[0.1,0.2]"],
      [3904, "(1,5)"],
    ] as const) {
      expect(one({ name: "x", typeOid }, cell)).toBe(cell);
    }
  });

  it("COPY, other encodings, rows that are not as described, broken messages", () => {
    const copy = Buffer.from([0x48, 0, 0, 0, 7, 0, 0, 0]);
    expect(() => mask(planOf()).push(copy)).toThrow(/COPY/);
    expect(() => mask(planOf()).push(parameterStatus("client_encoding", "SJIS"))).toThrow(/encoding/);
    expect(() =>
      mask(planOf()).push(Buffer.concat([rowDescription([{ name: "a", typeOid: TEXT }]), dataRow([null, null])])),
    ).toThrow();
    expect(() => mask(planOf()).push(dataRow([Buffer.from("219-09-9999")]))).toThrow(/not the columns/);
    expect(() => mask(planOf()).push(Buffer.from([0x44, 0, 0, 0, 99]))).toThrow(/cut off/);
    expect(() => one({ name: "a", typeOid: TEXT }, Buffer.from([0xff, 0xfe, 0x41, 0x42, 0x43, 0x44]))).toThrow(/UTF-8/);
  });

  it("blocks where the action says so", () => {
    expect(() => one({ name: "ssn", typeOid: TEXT }, "219-09-9999", planOf(WANTED, [], { kind: "block" }))).toThrow(
      /must not pass/,
    );
  });
});

it("masks the words of errors, notices and notifications, and nothing else of them", () => {
  const rows = mask(planOf());
  const fields = {
    S: "ERROR",
    C: "23505",
    M: "duplicate key",
    D: "Key (ssn)=(219-09-9999) already exists.",
    L: "219099999",
  };
  const out = errorFields(rows.push(errorResponse(fields)).subarray(5));
  expect(Object.fromEntries(out)).toEqual({ ...fields, D: "Key (ssn)=([US_SSN]) already exists." });
  expect(rows.push(noticeResponse({ S: "NOTICE", M: "SSN 219-09-9999" })).toString()).toContain("[US_SSN]");
  expect(rows.push(notificationResponse(1, "c", "SSN 219-09-9999")).toString()).toContain("[US_SSN]");
  expect(rows.tally.counts.get("US_SSN")).toBe(3);
});

it("masks what a parameter is set to, and not its name", () => {
  const said = parameterStatus("application_name", "SSN 219-09-9999");
  expect(mask(planOf()).push(said)).toEqual(parameterStatus("application_name", "SSN [US_SSN]"));
  const plain = parameterStatus("TimeZone", "UTC");
  expect(mask(planOf()).push(plain)).toBe(plain);
});

it("gives out what it does not alter as the bytes that came", () => {
  const bytes = Buffer.concat([
    rowDescription([{ name: "a", typeOid: TEXT }]),
    dataRow([Buffer.from("nothing")]),
    readyForQuery("T"),
  ]);
  expect(mask(planOf()).push(bytes)).toBe(bytes);
});

it("does the same however whole messages come together", () => {
  const cell = fc.oneof(
    fc.constant(null),
    fc.constantFrom("219-09-9999", "a@example.com", "plain", "4111111111111111"),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell), { maxLength: 20 }), fc.integer({ min: 1, max: 5 }), (rows, size) => {
      const columns = [
        { name: "ssn", typeOid: TEXT },
        { name: "notes", typeOid: TEXT },
      ];
      const messages = [
        rowDescription(columns),
        ...rows.map((row) => dataRow(row.map((one) => (one === null ? null : Buffer.from(one.replaceAll("\0", "")))))),
      ];
      const whole = mask(planOf()).push(Buffer.concat(messages));
      const parts = mask(planOf());
      const out: Buffer[] = [];
      for (let at = 0; at < messages.length; at += size)
        out.push(parts.push(Buffer.concat(messages.slice(at, at + size))));
      expect(Buffer.concat(out).equals(whole)).toBe(true);
    }),
  );
});

const WORDS = [
  "born",
  "ssn",
  "account",
  "acct no",
  "accountNo",
  "myaccounts",
  "iban",
  "dda",
  "phone",
  "dob",
  "mr",
  "ip",
  "card",
  "savings",
];
const PIECES = ["1", "22", "333", "123456", "7654", "-", ".", "/", ":", "ab12", "@", "x", "$", ",", '","'];

it.each([
  ["all", planOf()],
  ["without dates and addresses", planOf(WANTED.filter((type) => type !== "IP_ADDRESS" && type !== "DATE_OF_BIRTH"))],
] as const)("passes over a cell quickly only where nothing would have been found in it: %s", (_, plan) => {
  const dull = new DullTexts(plan);
  const texts = fc.oneof(
    fc.string(),
    fc.array(fc.constantFrom(...WORDS, ...PIECES), { maxLength: 12 }).map((parts) => parts.join(" ")),
    fc.array(fc.constantFrom(...WORDS, ...PIECES), { maxLength: 12 }).map((parts) => parts.join("")),
  );
  const names = [
    "",
    "ssn",
    "account number",
    "accountRef",
    "acct_no",
    "date of birth",
    "name",
    "remark",
    "savings",
    "IBAN",
  ];
  let passed = 0;
  fc.assert(
    fc.property(texts, texts, fc.constantFrom(...names), fc.constantFrom(...names), (last, text, nameLast, name) => {
      const bytesLast = Buffer.from(last);
      dull.isDull(bytesLast, 0, bytesLast.length, true);
      const said = dull.said || nameSays(nameLast) || nameSays(name);
      const bytes = Buffer.from(text);
      if (!dull.isDull(bytes, 0, bytes.length, said)) return;
      passed += 1;
      const tally = new Tally(plan);
      const before = `"${nameLast}":"${last.slice(-64)}","${name}":"`;
      new TextMask(plan, tally, false, before).push(text, true);
      expect([...tally.counts]).toEqual([]);
    }),
    { numRuns: 5_000 },
  );
  expect(passed).toBeGreaterThan(500);
});

it("knows when no cell can be passed over quickly", () => {
  expect(new DullTexts(planOf(["API_KEY"])).isDull(Buffer.from("x"), 0, 1, false)).toBe(false);
});

it("looks at a number because of a word in the cell before it", () => {
  const columns = [
    { name: "data", typeOid: TEXT },
    { name: "value", typeOid: TEXT },
  ];
  const rows = new RowsMask(planOf(["US_BANK_ACCOUNT"]), { uninspectable: "block", unseen: () => undefined });
  rows.push(rowDescription(columns));
  const texts = (what: string, remark: string): Buffer => dataRow([Buffer.from(what), Buffer.from(remark)]);
  const clean = texts("branch", "row 1234567");
  expect(rows.push(clean)).toBe(clean);
  const out = rows.push(Buffer.concat([clean, texts("the account", "no 1234567"), clean]));
  expect(out).toEqual(Buffer.concat([clean, texts("the account", "no [US_BANK_ACCOUNT]"), clean]));
  // The last cell of one answer's piece is the first one's neighbour in the next.
  rows.push(texts("x", "savings"));
  expect(rows.push(texts("1234567", "y"))).toEqual(texts("[US_BANK_ACCOUNT]", "y"));
});

it("changes cells of every length in one piece, and all lengths stay right", () => {
  const columns = ["a", "ssn", "b", "c"].map((name) => ({ name, typeOid: TEXT }));
  const cell = fc.option(fc.oneof(fc.constantFrom("219-09-9999", "SSN 219-09-9999 of her", "plain", ""), fc.string()), {
    nil: null,
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell, cell, cell), { maxLength: 8 }), (given) => {
      const plan = planOf(["US_SSN"], ["$.ssn"]);
      const bytesOf = (cells: readonly (string | null)[]): Buffer =>
        dataRow(cells.map((text) => (text === null ? null : Buffer.from(text))));
      const whole = new RowsMask(plan, { uninspectable: "block", unseen: () => undefined });
      whole.push(rowDescription(columns));
      const single = new RowsMask(plan, { uninspectable: "block", unseen: () => undefined });
      single.push(rowDescription(columns));
      const out = whole.push(Buffer.concat(given.map(bytesOf)));
      expect(out).toEqual(Buffer.concat(given.map((cells) => single.push(bytesOf(cells)))));
      const messages = new MessageReader({ side: "backend", maxMessageBytes: 1_000_000 }).push(out);
      expect(messages.length).toBe(given.length);
      const cells = new Int32Array(8);
      messages.forEach(({ body }, i) => {
        expect(locateCells(body, cells)).toBe(4);
        const ssn = given[i]?.[1] ?? null;
        const length = cells[3] as number;
        if (ssn === null || ssn === "") expect(length).toBe(ssn === null ? -1 : 0);
        else expect(body.toString("utf8", cells[2], (cells[2] as number) + length)).toBe("[FIELD]");
      });
    }),
  );
});

it("is not driven by a bound message of the other side", () => {
  const bytes = bind({ portal: "", statement: "", formats: [], parameters: [], resultFormats: [] });
  expect(mask(planOf()).push(bytes)).toBe(bytes);
});
