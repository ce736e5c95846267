import { encodeWebSocketMessage, TEXT } from "@hoopish/protocol";
import { commandComplete, dataRow, errorResponse, readyForQuery, rowDescription } from "@hoopish/protocol/postgres";
import { expect, it } from "vitest";
import { createBodyText } from "./body-text.ts";

const shown = (bytes: Buffer, size = 7): string => {
  const body = createBodyText(false);
  let out = "";
  for (let at = 0; at < bytes.length; at += size) out += body.push(bytes.subarray(at, at + size));
  return out + body.end();
};

it("shows what a database answered as a table", () => {
  const rows = Array.from({ length: 205 }, (_, i) => dataRow([Buffer.from(String(i)), null]));
  const answer = Buffer.concat([
    rowDescription([
      { name: "id", typeOid: 23 },
      { name: "ssn", typeOid: 25 },
    ]),
    ...[...rows, commandComplete("SELECT 205"), readyForQuery("I")],
  ]);
  const text = shown(answer);
  expect(text).toMatch(/^id \| ssn\n0 \| NULL\n1 \| NULL\n/);
  expect(text).toMatch(/199 \| NULL\n…\nSELECT 205\n$/);
});

it("shows an error in its words", () => {
  expect(shown(errorResponse({ S: "ERROR", C: "42501", M: "hoopish: no" }))).toBe("ERROR 42501: hoopish: no\n");
});

it("shows the texts in framed messages", () => {
  const grpc = Buffer.concat([Buffer.from([0, 0, 0, 0, 9, 0x0a, 7]), Buffer.from("letters")]);
  expect(shown(grpc)).toBe("message of 9 bytes: letters\n");
  expect(shown(encodeWebSocketMessage(TEXT, Buffer.from('{"type":"hello"}')))).toBe(
    'message of 16 bytes: {"type":"hello"}\n',
  );
});
