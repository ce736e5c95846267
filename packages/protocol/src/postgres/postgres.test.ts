import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  authenticationOk,
  backendKeyData,
  bind,
  cancelRequest,
  close,
  commandComplete,
  copyData,
  copyDone,
  dataRow,
  describe as describeMessage,
  errorFields,
  errorResponse,
  execute,
  flush,
  locateCells,
  type Message,
  MessageReader,
  md5Answer,
  negotiateProtocolVersion,
  noticeResponse,
  notificationResponse,
  PostgresProtocolError,
  parameterStatus,
  parse,
  parseAuthentication,
  parseBackendKeyData,
  parseBind,
  parseClose,
  parseDescribe,
  parseExecute,
  parseNotification,
  parseParameterStatus,
  parseParse,
  parseQuery,
  parseRowDescription,
  parseStartup,
  passwordMessage,
  query,
  readyForQuery,
  readyStatus,
  rowDescription,
  ScramClient,
  saslInitialResponse,
  saslResponse,
  sslRequest,
  startup,
  sync,
  terminate,
} from "./index.ts";

const MAX = 10_000;
const read = (side: "frontend" | "backend", chunks: readonly Buffer[], start = false): Message[] => {
  const reader = new MessageReader({ side, startup: start, maxMessageBytes: MAX });
  return chunks.flatMap((chunk) => reader.push(chunk));
};
const cut = (bytes: Buffer, sizes: readonly number[]): Buffer[] => {
  const pieces: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const to = at + (sizes[turn % sizes.length] as number);
    pieces.push(bytes.subarray(at, to));
    at = to;
  }
  return pieces;
};
const shown = (messages: readonly Message[]): string[] =>
  messages.map(({ type, bytes, body }) => `${type} ${bytes.toString("hex")} ${body.length}`);
const only = (bytes: Buffer, side: "frontend" | "backend" = "frontend"): Buffer =>
  (read(side, [bytes])[0] as Message).body;
const text = fc.string({ unit: "grapheme", maxLength: 40 }).map((value) => value.replaceAll("\0", "").toWellFormed());
const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 6 });
const cell = fc.option(fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)));

describe("messages", () => {
  it("are the same however they were cut, on either side", () => {
    const front = fc.oneof(
      text.map(query),
      fc.tuple(text, text).map(([name, sql]) => parse(name, sql, [23, 25])),
      fc
        .array(cell, { maxLength: 4 })
        .map((parameters) => bind({ portal: "p", statement: "s", formats: [], parameters, resultFormats: [1] })),
      fc.constantFrom(sync(), execute("p", 3), describeMessage("S", "s"), close("P", "p")),
    );
    const back = fc.oneof(
      fc.array(cell, { maxLength: 5 }).map(dataRow),
      text.map(commandComplete),
      text.map((M) => errorResponse({ S: "ERROR", M })),
      fc.constantFrom(readyForQuery("T"), parameterStatus("a", "b"), noticeResponse({ M: "x" }), authenticationOk()),
    );
    for (const [side, some] of [
      ["frontend", front],
      ["backend", back],
    ] as const) {
      fc.assert(
        fc.property(fc.array(some, { maxLength: 12 }), sizes, (messages, cuts) => {
          const bytes = Buffer.concat(messages);
          expect(shown(read(side, cut(bytes, cuts)))).toEqual(shown(read(side, [bytes])));
          expect(read(side, [bytes]).map(({ bytes: one }) => one.toString("hex"))).toEqual(
            messages.map((one) => one.toString("hex")),
          );
        }),
      );
    }
  });

  it("of one type are joined where that is asked for: the same bytes, and as many", () => {
    const row = fc.array(cell, { maxLength: 5 }).map(dataRow);
    const some = fc.oneof({ weight: 4, arbitrary: row }, text.map(commandComplete), fc.constant(readyForQuery("I")));
    fc.assert(
      fc.property(fc.array(some, { maxLength: 20 }), sizes, (messages, cuts) => {
        const reader = new MessageReader({ side: "backend", maxMessageBytes: 1_000_000, joins: "D" });
        const joined = cut(Buffer.concat(messages), [...cuts, 300]).flatMap((piece) => reader.push(piece));
        expect(Buffer.concat(joined.map(({ bytes }) => bytes))).toEqual(Buffer.concat(messages));
        expect(reader.held).toBe(0);
        for (const { type, bytes, count } of joined) {
          const single = read("backend", [bytes]);
          expect(single.length).toBe(count);
          expect(new Set(single.map((message) => message.type))).toEqual(new Set([type]));
          if (count > 1) expect(type).toBe("D");
        }
      }),
    );
    const whole = new MessageReader({ side: "backend", maxMessageBytes: 1_000_000, joins: "D" });
    expect(whole.push(Buffer.concat([dataRow([]), dataRow([]), readyForQuery("I")])).map(({ count }) => count)).toEqual(
      [2, 1],
    );
  });

  it("of a start-up come before the others", () => {
    const bytes = Buffer.concat([sslRequest(), startup(["user", "me"]), query("SELECT 1"), sync()]);
    fc.assert(
      fc.property(sizes, (cuts) => {
        expect(read("frontend", cut(bytes, cuts), true).map(({ type }) => type)).toEqual(["", "", "Q", "S"]);
      }),
    );
  });

  it("that are garbage are an error of the protocol, ever after, and hold no more than the limit", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 30 }),
        fc.boolean(),
        fc.constantFrom("frontend" as const, "backend" as const),
        (pieces, start, side) => {
          const reader = new MessageReader({ side, startup: start, maxMessageBytes: MAX });
          let broken = false;
          for (const piece of pieces) {
            try {
              reader.push(Buffer.from(piece));
              expect(broken).toBe(false);
            } catch (error) {
              expect(error).toBeInstanceOf(PostgresProtocolError);
              broken = true;
              expect(reader.held).toBe(0);
              // What is well-formed comes too late.
              expect(() => reader.push(readyForQuery("I"))).toThrow(error as Error);
            }
            expect(reader.held).toBeLessThanOrEqual(MAX);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each([
    ["a type that there is not", Buffer.from([0x21, 0, 0, 0, 4])],
    ["a length below four", Buffer.from([0x51, 0, 0, 0, 3])],
    ["a length beyond the limit", Buffer.from([0x51, 0, 1, 0, 0])],
    ["a negative length", Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff])],
  ])("with %s are refused at once", (_what, bytes) => {
    expect(() => read("frontend", [bytes])).toThrow(PostgresProtocolError);
  });
});

describe("bodies", () => {
  it("say what was said", () => {
    fc.assert(
      fc.property(text, text, fc.array(cell, { maxLength: 5 }), (one, two, parameters) => {
        expect(parseQuery(only(query(one)))).toBe(one);
        expect(parseParse(only(parse(one, two, [23, 0])))).toEqual({ name: one, sql: two, types: [23, 0] });
        const said = { portal: one, statement: two, formats: [1], parameters, resultFormats: [0, 1] };
        expect(parseBind(only(bind(said)))).toEqual(said);
        expect(parseDescribe(only(describeMessage("P", one)))).toEqual({ what: "P", name: one });
        expect(parseClose(only(close("S", two)))).toEqual({ what: "S", name: two });
        expect(parseExecute(only(execute(one, 7)))).toEqual({ portal: one, maxRows: 7 });
        expect(parseParameterStatus(only(parameterStatus(one, two), "backend"))).toEqual({ name: one, value: two });
        expect(errorFields(only(errorResponse({ S: one, M: two }), "backend"))).toEqual(
          new Map(Object.entries({ S: one, M: two })),
        );
        expect(
          parseRowDescription(only(rowDescription([{ name: one, typeOid: 25, format: 1 }]), "backend")),
        ).toMatchObject([{ name: one, typeOid: 25, format: 1 }]);
        const cells = new Int32Array(10);
        const body = only(dataRow(parameters), "backend");
        expect(locateCells(body, cells)).toBe(parameters.length);
        parameters.forEach((value, i) => {
          const [at = 0, length = 0] = [cells[i * 2], cells[i * 2 + 1]];
          expect(length < 0 ? null : body.subarray(at, at + length)).toEqual(value);
        });
      }),
    );
    expect(readyStatus(only(readyForQuery("E"), "backend"))).toBe("E");
    expect(parseBackendKeyData(only(backendKeyData(7, Buffer.from([1, 2, 3, 4])), "backend"))).toEqual({
      pid: 7,
      key: Buffer.from([1, 2, 3, 4]),
    });
    expect(parseAuthentication(only(authenticationOk(), "backend"))).toEqual({ kind: "ok" });
    expect(parseNotification(only(notificationResponse(7, "channel", "ü"), "backend"))).toEqual({
      ...{ pid: 7, channel: "channel", payload: "ü" },
    });
    expect(errorFields(only(noticeResponse({ S: "NOTICE", M: "x" }), "backend")).get("S")).toBe("NOTICE");
    const packet = (bytes: Buffer) => parseStartup(bytes.subarray(4));
    expect(packet(sslRequest())).toEqual({ kind: "ssl" });
    expect(packet(cancelRequest(5, Buffer.from([1, 2, 3, 4])))).toEqual({
      kind: "cancel",
      pid: 5,
      key: Buffer.from([1, 2, 3, 4]),
    });
    expect(packet(startup(["user", "me", "database", "x"]))).toEqual({
      ...{ kind: "startup", minor: 0 },
      parameters: new Map([
        ["user", "me"],
        ["database", "x"],
      ]),
    });
  });

  it("of a sign-in say what the database asks for", () => {
    const asked = (code: number, rest: Buffer | string = ""): Buffer => {
      const head = Buffer.alloc(4);
      head.writeInt32BE(code);
      return Buffer.concat([head, Buffer.from(rest as string)]);
    };
    expect(parseAuthentication(asked(3))).toEqual({ kind: "cleartext" });
    expect(parseAuthentication(asked(5, "salt"))).toEqual({ kind: "md5", salt: Buffer.from("salt") });
    expect(() => parseAuthentication(asked(5, "sal"))).toThrow(PostgresProtocolError);
    expect(parseAuthentication(asked(10, "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"))).toEqual({
      ...{ kind: "sasl", mechanisms: ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"] },
    });
    expect(() => parseAuthentication(asked(10, "SCRAM-SHA-256\0"))).toThrow(PostgresProtocolError);
    expect(parseAuthentication(asked(11, "r=1"))).toEqual({ kind: "sasl-continue", data: Buffer.from("r=1") });
    expect(parseAuthentication(asked(12, "v=1"))).toEqual({ kind: "sasl-final", data: Buffer.from("v=1") });
    expect(parseAuthentication(asked(7))).toEqual({ kind: "other", code: 7 });
    expect(() => parseAuthentication(Buffer.from([0, 0, 0]))).toThrow(PostgresProtocolError);
  });

  it("that have no reader here stand as the documentation has them", () => {
    expect(passwordMessage("ü").toString("hex")).toBe("7000000007c3bc00");
    expect(saslInitialResponse("M", Buffer.from("n,,")).toString("hex")).toBe("700000000d4d00000000036e2c2c");
    expect(saslResponse(Buffer.from("c")).toString("hex")).toBe("700000000563");
    expect(negotiateProtocolVersion(0, ["_pq_.x"]).toString("hex")).toBe("760000001300030000000000015f70715f2e7800");
    expect(commandComplete("SELECT 1").toString("latin1", 5)).toBe("SELECT 1\0");
    const empty = [sync(), flush(), terminate(), copyDone()].map((bytes) => bytes.toString("hex"));
    expect(empty).toEqual(["5300000004", "4800000004", "5800000004", "6300000004"]);
    expect(only(copyData(Buffer.from([0, 255])))).toEqual(Buffer.from([0, 255]));
  });

  it("that break off, go on, or are no UTF-8 are refused, whatever reads them", () => {
    const readers = [
      parseQuery,
      parseParse,
      parseBind,
      parseDescribe,
      parseExecute,
      parseStartup,
      parseRowDescription,
      errorFields,
      readyStatus,
      parseAuthentication,
    ];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        for (const parseBody of readers) {
          try {
            parseBody(Buffer.from(bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(PostgresProtocolError);
          }
        }
        try {
          locateCells(Buffer.from(bytes), new Int32Array(200));
        } catch (error) {
          expect(error).toBeInstanceOf(PostgresProtocolError);
        }
      }),
      { numRuns: 1_000 },
    );
    expect(() => parseQuery(Buffer.from([0xff, 0]))).toThrow(/UTF-8/);
    expect(() => parseStartup(Buffer.concat([Buffer.from([0, 3, 0, 0]), Buffer.from("user\0a\0user\0b\0\0")]))).toThrow(
      /twice/,
    );
  });

  it("never hold a text that would end before its end", () => {
    expect(() => query("SELECT 1\0; DROP TABLE t")).toThrow(RangeError);
    expect(errorFields(only(errorResponse({ M: "a\0b" }), "backend")).get("M")).toBe("ab");
  });
});

describe("signing in", () => {
  it("by SCRAM-SHA-256 is the exchange of RFC 7677, and the server has to prove itself", () => {
    const client = new ScramClient("pencil", "rOprNGfwEbeRWgbNEkqO", "user");
    expect(client.first().toString()).toBe("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    const challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    expect(client.final(Buffer.from(challenge)).toString()).toBe(
      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    );
    expect(() => client.verify(Buffer.from("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="))).not.toThrow();
    expect(() => client.verify(Buffer.from("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="))).toThrow(
      PostgresProtocolError,
    );
    expect(() => client.verify(Buffer.from("e=other-error"))).toThrow(PostgresProtocolError);
  });

  it.each([
    ["r=another,s=W22Z,i=4096"],
    ["r=nonce,s=W22Z,i=4096"],
    ["r=nonceX,s=W22Z,i=1"],
    ["r=nonceX,s=W22Z,i=9999999"],
    ["nonsense"],
  ])("takes no challenge such as %s", (challenge) => {
    expect(() => new ScramClient("p", "nonce").final(Buffer.from(challenge))).toThrow(PostgresProtocolError);
  });

  it("by md5 is PostgreSQL's digest of digests", () => {
    // By md5sum, of its parts.
    expect(md5Answer("user", "secret", Buffer.from([1, 2, 3, 4]))).toBe("md5fccef98e4f1cf6cbe96b743fad4e8bd0");
    expect(md5Answer("user", "secret", Buffer.from([1, 2, 3, 4]))).not.toBe(
      md5Answer("user", "secret", Buffer.from([1, 2, 3, 5])),
    );
  });
});
