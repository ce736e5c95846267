import { hash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  addSignatures,
  cosigner,
  HoopishError,
  NoteError,
  newLogKey,
  parseAddCheckpoint,
  parseVkey,
  signatureLine,
  verifyConsistency,
} from "@hoopish/protocol";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Anchor } from "../../evidence/anchors/anchor.ts";
import { SampleLog } from "../../evidence/anchors/testing/sample-log.ts";
import { witnessAnchor } from "./witness-anchor.ts";

const log = new SampleLog(100);
const KEY = newLogKey();
const witness = cosigner("bank.example/audit", KEY, () => Date.now() / 1_000);
const hurried = cosigner("bank.example/audit", KEY, () => Date.now() / 1_000 + 3_600);
const signal = new AbortController().signal;

type Answer = (body: string, response: ServerResponse, request: IncomingMessage) => void;

describe("witnessAnchor before a server that answers as it likes", () => {
  let server: Server;
  let prefix = "";
  let answers: Answer[] = [];
  let bodies: string[] = [];

  beforeAll(async () => {
    server = createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += String(chunk);
      bodies.push(body);
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      answer?.(body, response, request);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    prefix = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hoopish`;
  });
  beforeEach(() => {
    bodies = [];
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  const anchor = (): Anchor =>
    witnessAnchor({
      url: new URL(prefix),
      witness: parseVkey(witness.vkey),
      origin: log.origin,
      everyMs: 0,
      required: true,
      consistency: log.consistency,
      now: Date.now,
      timeoutMs: 300,
    });
  const publish = (size: number, to = anchor()) => to.publish(log.checkpoint(size), signal);
  const fault = (act: Promise<unknown>): Promise<string> =>
    act.then(
      () => "taken",
      (error: unknown) => {
        if (error instanceof NoteError) return error.reason;
        if (error instanceof HoopishError) return `${error.code}: ${error.message}`;
        throw error;
      },
    );
  const textOf = (body: string): string => parseAddCheckpoint(body).checkpoint.split("\n\n")[0] as string;
  const cosign: Answer = (body, response) => response.end(signatureLine(witness, `${textOf(body)}\n`));
  const conflict =
    (size: number | string): Answer =>
    (_body, response) =>
      response.writeHead(409, { "content-type": "text/x.tlog.size" }).end(`${size}\n`);

  it("gives the note with the witness's cosignature, and remembers the size", async () => {
    answers = [cosign];
    const one = anchor();
    const receipt = await publish(40, one);
    expect(receipt).toMatchObject({ kind: "cosigned", note: expect.stringContaining("— bank.example/audit ") });
    expect(parseAddCheckpoint(bodies[0] ?? "")).toMatchObject({
      oldSize: 0,
      proof: [],
      checkpoint: log.checkpoint(40).note,
    });
    await publish(63, one);
    const { oldSize, proof } = parseAddCheckpoint(bodies[1] ?? "");
    expect(oldSize).toBe(40);
    expect(verifyConsistency(40, 63, log.root(40), log.root(63), proof)).toBe(true);
    await publish(63, one);
    expect(parseAddCheckpoint(bodies[2] ?? "")).toMatchObject({ oldSize: 63, proof: [] });
  });

  it("proves the log from the size that the witness has", async () => {
    answers = [conflict(17), cosign];
    await publish(40);
    const { oldSize, proof } = parseAddCheckpoint(bodies[1] ?? "");
    expect(oldSize).toBe(17);
    expect(verifyConsistency(17, 40, log.root(17), log.root(40), proof)).toBe(true);
  });

  it("keeps nothing else that the answer holds", async () => {
    const other = cosigner("other.example/w", newLogKey(), () => 1);
    answers = [
      (body, response) =>
        response.end(signatureLine(other, `${textOf(body)}\n`) + signatureLine(witness, `${textOf(body)}\n`)),
    ];
    const receipt = await publish(40);
    const note = receipt?.kind === "cosigned" ? receipt.note : "";
    expect(note).not.toContain("other.example");
    expect(note.startsWith(log.checkpoint(40).note)).toBe(true);
  });

  it.each<[string, Answer, string]>([
    [
      "a cosignature of other text",
      (_body, it) => it.end(signatureLine(witness, `${log.checkpoint(9).note.split("\n\n")[0]}\n`)),
      "bad_signature",
    ],
    [
      "one of another key with the same name",
      (body, it) =>
        it.end(
          signatureLine(
            cosigner("bank.example/audit", newLogKey(), () => 1),
            `${textOf(body)}\n`,
          ),
        ),
      "unsigned",
    ],
    ["the log's own signature", (body, it) => it.end(parseAddCheckpoint(body).checkpoint.split("\n\n")[1]), "unsigned"],
    [
      "a clock that is far ahead",
      (body, it) => it.end(signatureLine(hurried, `${textOf(body)}\n`)),
      "upstream_failed: the witness's clock is ahead of this machine's by minutes",
    ],
    ["nothing", (_body, it) => it.end(), "malformed"],
    ["a page", (_body, it) => it.end("<html>"), "malformed"],
    [
      "a line that would become text of the note",
      (body, it) => it.end(`\n${signatureLine(witness, `${textOf(body)}\n`)}`),
      "malformed",
    ],
    [
      "403",
      (_body, it) => it.writeHead(403).end(),
      "access_denied: the witness does not take this log's key for gateway.bank.example/hoopish",
    ],
    [
      "404",
      (_body, it) => it.writeHead(404).end(),
      "not_found: the witness does not know the log gateway.bank.example/hoopish",
    ],
    ["422", (_body, it) => it.writeHead(422).end(), "conflict: the witness has seen another history of this log"],
    ["500", (_body, it) => it.writeHead(500).end("secret"), "upstream_failed: URL answered 500, not as a witness does"],
    [
      "a redirect",
      (_body, it) => it.writeHead(307, { location: "http://127.0.0.1:1/" }).end(),
      "upstream_failed: URL answered 307, not as a witness does",
    ],
    [
      "a larger size than ours",
      conflict(41),
      "conflict: the witness has seen 41 records of this log, and this checkpoint is of 40",
    ],
    [
      "a size that changes for ever",
      (body, it) => conflict((parseAddCheckpoint(body).oldSize % 30) + 1)(body, it, {} as IncomingMessage),
      "conflict: the witness's size of this log changes again and again",
    ],
    ["a size that is none", conflict("-1"), "malformed"],
    ["a size beyond all logs", conflict("99999999999999999999"), "malformed"],
    [
      "a conflict without a size",
      (_body, it) => it.writeHead(409).end(),
      "upstream_failed: URL answered 409, not as a witness does",
    ],
    ["too much", (_body, it) => it.end("x".repeat(70_000)), "upstream_failed: URL answered with more than 65536 bytes"],
    ["silence", () => {}, "unreachable: URL did not answer within 0.3 s"],
  ])("refuses %s", async (_what, answer, expected) => {
    answers = [answer];
    const origin = new URL(prefix).origin;
    expect((await fault(publish(40))).replace(origin, "URL")).toBe(expected);
    expect(bodies.length).toBeLessThanOrEqual(3);
  });

  it("shows the newest that the witness has cosigned, and nothing that it has not", async () => {
    const { note } = log.checkpoint(30);
    const cosigned = addSignatures(note, signatureLine(witness, `${note.split("\n\n")[0]}\n`));
    let path = "";
    answers = [
      (_body, response, request) => {
        path = request.url ?? "";
        response.end(cosigned);
      },
    ];
    expect(await anchor().newest(signal)).toBe(cosigned);
    expect(path).toBe(`/hoopish/${hash("sha256", log.origin)}/checkpoint`);
    answers = [(_body, response) => response.end(note)];
    expect(await fault(anchor().newest(signal))).toBe("unsigned");
    answers = [(_body, response) => response.writeHead(404).end()];
    expect(await anchor().newest(signal)).toBeUndefined();
    answers = [(_body, response) => response.writeHead(503).end()];
    expect(await fault(anchor().newest(signal))).toMatch(/^upstream_failed/);
    answers = [() => {}];
    expect(await fault(anchor().newest(signal))).toMatch(/^unreachable/);
  });
});
