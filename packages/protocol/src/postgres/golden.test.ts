import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  errorFields,
  locateCells,
  type Message,
  MessageReader,
  parseBind,
  parseParse,
  parseQuery,
  parseRowDescription,
  parseStartup,
  readyStatus,
} from "./index.ts";

/** What a real PostgreSQL 18 and a client said to each other (testing/capture.ts). */
const SESSION = JSON.parse(readFileSync(new URL("testing/golden-session.json", import.meta.url), "utf8")) as {
  from: "client" | "server";
  base64: string;
}[];
const said = (from: "client" | "server"): Buffer =>
  Buffer.concat(SESSION.filter((piece) => piece.from === from).map(({ base64 }) => Buffer.from(base64, "base64")));

function read(from: "client" | "server", size: number): Message[] {
  const side = from === "client" ? "frontend" : "backend";
  const reader = new MessageReader({ side, startup: from === "client", maxMessageBytes: 100_000 });
  const bytes = said(from);
  const messages: Message[] = [];
  for (let at = 0; at < bytes.length; at += size) messages.push(...reader.push(bytes.subarray(at, at + size)));
  expect(reader.held).toBe(0);
  return messages;
}
const types = (messages: readonly Message[]): string => messages.map(({ type }) => type || "-").join("");

describe("a recorded session", () => {
  it("is read to its end, however it is cut", () => {
    const whole = { client: read("client", 1e9), server: read("server", 1e9) };
    expect(types(whole.client)).toBe("-QQPDBDESQQQQQQQdcX");
    expect(types(whole.server)).toMatch(/^RRS+KZTDCZTDCTDCZ1tT2TDCZEZCZNCZT?EZCZHdddcCZGCZ$/);
    fc.assert(
      fc.property(
        fc.constantFrom("client" as const, "server" as const),
        fc.integer({ min: 1, max: 200 }),
        (from, size) => {
          expect(types(read(from, size))).toBe(types(whole[from]));
        },
      ),
    );
  });

  it("says what was asked", () => {
    const [start, ...asked] = read("client", 1e9);
    expect(parseStartup((start as Message).body)).toMatchObject({ kind: "startup", minor: 0 });
    expect(parseQuery((asked[0] as Message).body)).toBe("SELECT 1 AS one, NULL AS nothing, 'zwölf' AS twelve");
    const one = (type: string): Buffer => (asked.find((message) => message.type === type) as Message).body;
    expect(parseParse(one("P"))).toEqual({
      name: "s",
      sql: "SELECT $1::int8 + 1 AS sum, $2::text AS said",
      types: [20, 25],
    });
    expect(parseBind(one("B"))).toMatchObject({
      statement: "s",
      parameters: [Buffer.from("41"), null],
      resultFormats: [1, 0],
    });
  });

  it("says what was answered", () => {
    const answered = read("server", 1e9);
    const of = (type: string): Buffer[] => answered.filter((message) => message.type === type).map(({ body }) => body);
    expect(
      parseRowDescription(of("T")[0] as Buffer).map(({ name, typeOid, format }) => [name, typeOid, format]),
    ).toEqual([
      ["one", 23, 0],
      ["nothing", 25, 0],
      ["twelve", 25, 0],
    ]);
    const cells = new Int32Array(8);
    const row = of("D")[0] as Buffer;
    expect(locateCells(row, cells)).toBe(3);
    expect(cells[3]).toBe(-1);
    expect(row.toString("utf8", cells[4], (cells[4] as number) + (cells[5] as number))).toBe("zwölf");
    // The sum came in its binary form, as the portal's description says.
    expect(parseRowDescription(of("T")[4] as Buffer)[0]).toMatchObject({ name: "sum", format: 1 });
    expect((of("D")[3] as Buffer).readBigInt64BE(6)).toBe(42n);
    expect(of("E").map((body) => errorFields(body).get("C"))).toEqual(["42P01", "22012"]);
    expect(errorFields(of("N")[0] as Buffer).get("M")).toBe("heard");
    expect(of("Z").map(readyStatus).join("")).toMatch(/^I+TTEI+$/);
  });
});
