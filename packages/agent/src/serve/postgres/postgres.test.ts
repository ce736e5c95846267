import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type PostgresOptions, startPostgres } from "@hoopish/fixtures";
import { authenticationOk, MessageReader, message, query, readyForQuery } from "@hoopish/protocol/postgres";
import { afterAll, describe, expect, it } from "vitest";
import type { ConnectionConfig } from "../../config/config.ts";
import { createCa, HAS_OPENSSL } from "../../testing/certificates.ts";
import { connectionTo } from "../../testing/tunnel-pair.ts";
import { type DatabaseError, openDatabase } from "./open-database.ts";

const folder = mkdtempSync(join(tmpdir(), "agent-postgres-"));
afterAll(() => rmSync(folder, { recursive: true }));

const open = { parameters: ["client_encoding", "UTF8", "application_name", "story"] };
const signal = (): AbortSignal => AbortSignal.timeout(5_000);
async function ask(config: ConnectionConfig, user: string, password: string): Promise<string> {
  const database = await openDatabase(config, { user, password }, open, signal());
  const reader = new MessageReader({ side: "backend", maxMessageBytes: 100_000 });
  const answer = new Promise<string>((resolve) => {
    let seen = "";
    database.socket.on("data", (chunk: Buffer) => {
      for (const { type, body } of reader.push(chunk)) seen += type === "D" ? body.toString("utf8", 6) : "";
      if (seen !== "") resolve(seen);
    });
  });
  database.socket.resume();
  database.socket.write(query("SELECT current_user || ' ' || current_setting('application_name')"));
  const said = await answer;
  database.socket.destroy();
  return said;
}
const refusal = (work: Promise<unknown>): Promise<DatabaseError> =>
  work.then(
    () => Promise.reject(new Error("it was let in")),
    (error: DatabaseError) => error,
  );

describe("the agent signs in at a real PostgreSQL", () => {
  it.each([["scram-sha-256"], ["md5"], ["password"]] as const)(
    "by %s, and says what it was told to",
    async (authentication) => {
      const postgres = await startPostgres({ authentication, empty: true });
      const config = connectionTo(postgres.url);
      try {
        expect(await ask(config, postgres.user, postgres.password)).toBe(`${postgres.user} story`);
        const error = await refusal(ask(config, postgres.user, "wrong"));
        expect(error).toMatchObject({
          refused: true,
          sqlstate: "28P01",
          message: "the database does not accept the agent's credential",
        });
      } finally {
        await postgres.close();
      }
    },
    30_000,
  );

  it.skipIf(!HAS_OPENSSL)(
    "over TLS, and only with one whose certificate is good",
    async () => {
      const ca = createCa(folder, "ca");
      const other = createCa(folder, "other");
      const { cert, key } = ca.issue("db");
      const options: PostgresOptions = { tls: { cert, key }, empty: true };
      const postgres = await startPostgres(options);
      const tls = (caFile: string) => ({ tls: { caFile, certFile: undefined, keyFile: undefined } });
      try {
        expect(await ask(connectionTo(postgres.url, tls(ca.caFile)), postgres.user, postgres.password)).toContain(
          "story",
        );
        const error = await refusal(
          ask(connectionTo(postgres.url, tls(other.caFile)), postgres.user, postgres.password),
        );
        expect(error.message).toContain("TLS");
        // In the clear the database does not talk at all.
        expect((await refusal(ask(connectionTo(postgres.url), postgres.user, postgres.password))).sqlstate).toBe(
          "28000",
        );
      } finally {
        await postgres.close();
      }
    },
    30_000,
  );
});

describe("a server that is none", () => {
  const pretending = async (
    say: (bytes: Buffer) => Buffer,
    work: (config: ConnectionConfig) => Promise<void>,
  ): Promise<void> => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (bytes: Buffer) => socket.write(say(bytes)));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      await work(connectionTo(`postgres://127.0.0.1:${(server.address() as { port: number }).port}/x`));
    } finally {
      server.close();
    }
  };

  it("lets in without asking is taken at its word only when it never began to prove itself", async () => {
    await pretending(
      () => Buffer.concat([authenticationOk(), readyForQuery("I")]),
      async (config) => {
        const { socket } = await openDatabase(config, { user: "a", password: "b" }, open, signal());
        socket.destroy();
      },
    );
    const sasl = message("R", Buffer.from([0, 0, 0, 10]), Buffer.from("SCRAM-SHA-256\0\0"));
    let asked = 0;
    await pretending(
      () => (asked++ === 0 ? sasl : Buffer.concat([authenticationOk(), readyForQuery("I")])),
      async (config) => {
        expect(await refusal(openDatabase(config, { user: "a", password: "b" }, open, signal()))).toMatchObject({
          name: "DatabaseError",
        });
      },
    );
  });

  it("speaks before TLS, or offers none, gets no password", async () => {
    const withTls = (config: ConnectionConfig): ConnectionConfig => ({
      ...config,
      tls: { caFile: undefined, certFile: undefined, keyFile: undefined },
    });
    await pretending(
      () => Buffer.from("Sinjected"),
      async (config) => {
        expect(
          (await refusal(openDatabase(withTls(config), { user: "a", password: "b" }, open, signal()))).message,
        ).toContain("before TLS");
      },
    );
    await pretending(
      () => Buffer.from("N"),
      async (config) => {
        expect(
          (await refusal(openDatabase(withTls(config), { user: "a", password: "b" }, open, signal()))).message,
        ).toContain("does not offer TLS");
      },
    );
    await pretending(
      () => Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"),
      async (config) => {
        expect(await refusal(openDatabase(config, { user: "a", password: "b" }, open, signal()))).toMatchObject({
          name: "DatabaseError",
        });
      },
    );
  });

  it("says nothing is left when the time is over", async () => {
    await pretending(
      () => Buffer.alloc(0),
      async (config) => {
        const error = await refusal(openDatabase(config, { user: "a", password: "b" }, open, AbortSignal.timeout(300)));
        expect(error.name).toBe("DatabaseError");
      },
    );
  });
});
