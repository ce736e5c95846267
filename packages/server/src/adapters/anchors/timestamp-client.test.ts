import { mkdtempSync, rmSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createTimestampAuthority,
  HAS_OPENSSL,
  startTimestampServer,
  type TimestampAuthority,
  type TimestampServer,
} from "@hoopish/fixtures/timestamp-authority";
import { HoopishError, readAuthorities, TimestampError } from "@hoopish/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { obtainTimestamp, type TimestampClientOptions } from "./timestamp-client.ts";

const NOTE = Buffer.from("gateway.bank.example/hoopish\n42\nroot\n\n— signature\n");

describe.skipIf(!HAS_OPENSSL)(
  "obtainTimestamp from `openssl ts` over HTTP (skipped where openssl is not there)",
  () => {
    let folder = "";
    let authority: TimestampAuthority;
    let server: TimestampServer;
    let honest: TimestampServer["answer"];

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "hoopish-tsa-"));
      authority = createTimestampAuthority(folder);
      server = await startTimestampServer(authority);
      honest = server.answer;
    });
    afterEach(() => {
      server.answer = honest;
    });
    afterAll(async () => {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    });

    const obtain = (options: Partial<TimestampClientOptions> = {}) =>
      obtainTimestamp(NOTE, {
        url: new URL(server.url),
        authorities: readAuthorities(authority.ca),
        now: Date.now,
        ...options,
      });
    const fault = (options?: Partial<TimestampClientOptions>): Promise<string> =>
      obtain(options).then(
        () => "taken",
        (error: unknown) => {
          if (error instanceof TimestampError) return error.reason;
          if (error instanceof HoopishError)
            return `${error.code}: ${error.message.replace(server.url.slice(0, -1), "URL")}`;
          throw error;
        },
      );
    const reply = (response: ServerResponse, body: Uint8Array): void => {
      response.writeHead(200, { "content-type": "application/timestamp-reply" }).end(body);
    };

    it("gives the whole response and its time", async () => {
      const { response, timestamp } = await obtain();
      expect(Math.abs(timestamp.genTimeMs - Date.now())).toBeLessThan(10_000);
      expect(response[0]).toBe(0x30);
    });

    it("asks anew each time: an answer that was heard before is not taken", async () => {
      const { response } = await obtain();
      server.answer = (_query, it) => reply(it, response);
      expect(await fault()).toBe("nonce");
    });

    it("refuses a clock that is far off", async () => {
      expect(await fault({ now: () => Date.now() + 3_600_000 })).toMatch(/^upstream_failed: the clock of URL/);
    });

    it("trusts the named authorities only", async () => {
      const other = createTimestampAuthority(mkdtempSync(join(folder, "foreign-")));
      expect(await fault({ authorities: readAuthorities(other.ca) })).toBe("untrusted");
    });

    it.each<[string, TimestampServer["answer"], string]>([
      [
        "a status",
        (_query, it) => void it.writeHead(503).end("secret"),
        "upstream_failed: URL answered 503, with no timestamp",
      ],
      [
        "a page",
        (_query, it) => void it.writeHead(200, { "content-type": "text/html" }).end("<p>"),
        "upstream_failed: URL answered 200, with no timestamp",
      ],
      [
        "a redirect, which is not followed",
        (_query, it) => void it.writeHead(307, { location: server.url }).end(),
        "upstream_failed: URL answered 307, with no timestamp",
      ],
      ["rubbish", (_query, it) => reply(it, Buffer.from("hello")), "malformed"],
      ["nothing", (_query, it) => reply(it, Buffer.alloc(0)), "malformed"],
      ["a refusal", async (query, it) => reply(it, await authority.reply(query, { digests: "sha512" })), "rejected"],
      [
        "half a timestamp",
        async (query, it) => reply(it, (await authority.reply(query)).subarray(0, 300)),
        "malformed",
      ],
      [
        "a cut connection",
        (_query, it) => {
          it.writeHead(200, { "content-type": "application/timestamp-reply", "content-length": "900" });
          it.write("0");
          setTimeout(() => it.destroy(), 20);
        },
        "unreachable: URL cannot be reached (UND_ERR_SOCKET)",
      ],
      [
        "no end",
        (_query, it) => {
          it.writeHead(200, { "content-type": "application/timestamp-reply" });
          const more = (): void => void (it.destroyed || it.write(Buffer.alloc(65_536), () => setImmediate(more)));
          more();
        },
        "upstream_failed: URL answered with more than 65536 bytes",
      ],
      [
        "a byte now and then",
        (_query, it) => {
          it.writeHead(200, { "content-type": "application/timestamp-reply" });
          const timer = setInterval(() => it.write("0"), 50);
          it.on("close", () => clearInterval(timer));
        },
        "unreachable: URL did not answer within 0.4 s",
      ],
      ["silence", () => {}, "unreachable: URL did not answer within 0.4 s"],
    ])("refuses %s", async (_what, answer, expected) => {
      server.answer = answer;
      expect(await fault({ timeoutMs: 400 })).toBe(expected);
    });

    it("says when nobody is there", async () => {
      const gone = await startTimestampServer(authority);
      await gone.close();
      expect(await fault({ url: new URL(gone.url) })).toMatch(/^unreachable: .* cannot be reached \(ECONNREFUSED\)$/);
    });
  },
);
