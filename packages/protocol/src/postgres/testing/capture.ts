/**
 * Writes golden-session.json anew: what a real PostgreSQL and a client say to each other, byte by byte.
 *
 *   node --conditions=@hoopish/source packages/protocol/src/postgres/testing/capture.ts
 */
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { startPostgres } from "@hoopish/fixtures";
import {
  bind,
  copyData,
  copyDone,
  describe,
  execute,
  MessageReader,
  parse,
  passwordMessage,
  query,
  startup,
  sync,
  terminate,
} from "../index.ts";

interface Piece {
  readonly from: "client" | "server";
  readonly base64: string;
}

const postgres = await startPostgres({ authentication: "password" });
const pieces: Piece[] = [];
const socket = connect(postgres.port, "127.0.0.1");
const reader = new MessageReader({ side: "backend", maxMessageBytes: 1_000_000 });
let types = "";
socket.on("data", (chunk: Buffer) => {
  pieces.push({ from: "server", base64: chunk.toString("base64") });
  for (const { type } of reader.push(chunk)) types += type;
});
async function say(until: RegExp, ...messages: readonly Buffer[]): Promise<void> {
  types = "";
  const bytes = Buffer.concat(messages);
  pieces.push({ from: "client", base64: bytes.toString("base64") });
  socket.write(bytes);
  while (!until.test(types)) await new Promise((resolve) => setTimeout(resolve, 5));
}

await say(/R$/, startup(["user", postgres.user, "database", postgres.database, "client_encoding", "UTF8"]));
await say(/Z$/, passwordMessage(postgres.password));
await say(/Z$/, query("SELECT 1 AS one, NULL AS nothing, 'zwölf' AS twelve"));
await say(/Z$/, query("SELECT 1; SELECT 2"));
await say(
  /Z$/,
  parse("s", "SELECT $1::int8 + 1 AS sum, $2::text AS said", [20, 25]),
  describe("S", "s"),
  bind({ portal: "", statement: "s", formats: [0], parameters: [Buffer.from("41"), null], resultFormats: [1, 0] }),
  describe("P", ""),
  execute(""),
  sync(),
);
await say(/Z$/, query("SELECT * FROM nowhere"));
await say(/Z$/, query("BEGIN"));
await say(/Z$/, query("DO $$ BEGIN RAISE NOTICE 'heard'; END $$"));
await say(/Z$/, query("SELECT 1/0"));
await say(/Z$/, query("ROLLBACK"));
await say(/Z$/, query("COPY (SELECT generate_series(1, 3)) TO STDOUT"));
await say(/G$/, query("COPY decisions (applicant_id) FROM STDIN"));
await say(/Z$/, copyData(Buffer.from("1\n2\n")), copyDone());
await say(/$/, terminate());
socket.destroy();
await postgres.close();
// The password is of a server that is gone; it stays out of a file all the same.
const hidden = pieces.filter(({ from, base64 }) => from !== "client" || Buffer.from(base64, "base64")[0] !== 0x70);
writeFileSync(new URL("golden-session.json", import.meta.url), `${JSON.stringify(hidden, undefined, 1)}\n`);
