import { Buffer } from "node:buffer";
import { type Frame, FrameType, MAX_STREAM_ID, TunnelErrorCode } from "@hoopish/protocol";
import { describe, expect, test } from "vitest";
import { DATA_FRAME_BYTES, QUEUE_HIGH_BYTES } from "./limits.ts";
import { End, Recorder, Wire } from "./test-wire.ts";

const { DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE } = FrameType;
const bytes = (text: string) => Buffer.from(text);
const isData = (frame: Frame) => frame.type === DATA;

describe("a conversation", () => {
  test("request and answer, each side ending for itself", () => {
    const wire = new Wire();
    const request = wire.dialler.open({ path: "/v1/models" });
    request.write(bytes("question"));
    request.end();
    wire.settle();
    const served = wire.acceptor.accepted[0];
    expect(served?.headers).toEqual({ path: "/v1/models" });
    expect(served?.state).toBe("half-closed-remote");
    expect(wire.acceptor.recorder(1)).toMatchObject({ text: "question", ended: true });

    served?.sendHeaders({ status: 200 });
    served?.write(bytes("ans"));
    wire.settle();
    expect(request.state).toBe("half-closed-local");
    served?.write(bytes("wer"));
    served?.endWithTrailers({ "grpc-status": "0" });
    wire.settle();
    const seen = wire.dialler.recorder(1);
    expect(seen).toMatchObject({ headers: [{ status: 200 }], text: "answer", trailers: { "grpc-status": "0" } });
    expect(request.state).toBe("closed");
    expect(wire.dialler.connection.table.size + wire.acceptor.connection.table.size).toBe(0);
  });

  test("headers, body and end of a small request are three frames and no WINDOW_UPDATE", () => {
    const end = new End("dialler");
    end.sent();
    end.open({}, { body: bytes("x"), endStream: true });
    expect(end.sent().map(({ type }) => type)).toEqual([HEADERS, DATA]);
    end.receive({ type: SETTINGS, ack: false, settings: { version: 1 } });
    end.receive({ type: HEADERS, streamId: 1, endStream: false, headers: {} });
    end.receive({ type: DATA, streamId: 1, endStream: true, payload: bytes("answer") });
    expect(end.sent().map(({ type }) => type)).toEqual([SETTINGS]);
  });

  test("the dialler's ids are odd, the acceptor's even, and both sides may open", () => {
    const wire = new Wire();
    expect([wire.dialler.open().id, wire.acceptor.open().id, wire.dialler.open().id]).toEqual([1, 2, 3]);
    wire.settle();
    expect(wire.acceptor.accepted.map(({ id }) => id)).toEqual([1, 3]);
    expect(wire.dialler.accepted.map(({ id }) => id)).toEqual([2]);
  });

  test("interim headers come before the final ones", () => {
    const wire = new Wire();
    wire.dialler.open();
    wire.settle();
    const served = wire.acceptor.accepted[0];
    served?.sendHeaders({ status: 102 });
    served?.sendHeaders({ status: 204 }, { endStream: true });
    wire.settle();
    // The second are the last frame of a direction that had HEADERS before: trailers, by their place.
    expect(wire.dialler.recorder(1)).toMatchObject({ headers: [{ status: 102 }], trailers: { status: 204 } });
  });

  test("headers after data are the caller's mistake", () => {
    const stream = new End("dialler").open();
    stream.write(bytes("x"));
    expect(() => stream.sendHeaders({})).toThrow();
    stream.end();
    expect(() => stream.write(bytes("x"))).toThrow();
    stream.end();
  });

  test("a reset ends both directions, with its reason", () => {
    const wire = new Wire();
    const request = wire.dialler.open();
    wire.settle();
    wire.acceptor.accepted[0]?.reset(TunnelErrorCode.CANCEL, "no model");
    wire.settle();
    expect(wire.dialler.recorder(1).reset).toMatchObject({ code: 8, origin: "remote", reason: "no model" });
    expect(request.state).toBe("closed");
    expect(request.write(bytes("late"))).toBe(false);
    expect(wire.acceptor.recorder(1).reset).toBeUndefined();
  });

  test("NO_ERROR after the end sends what is queued, then asks the peer to stop", () => {
    const wire = new Wire();
    const upload = wire.dialler.open();
    upload.write(bytes("part of an upload"));
    wire.settle();
    const served = wire.acceptor.accepted[0];
    served?.end(Buffer.alloc(100_000, 1));
    served?.reset(TunnelErrorCode.NO_ERROR);
    expect(served?.state).toBe("open");
    upload.write(bytes("more"));
    wire.settle();
    expect(wire.dialler.recorder(1)).toMatchObject({ bytes: 100_000, ended: true, reset: { code: 0 } });
    expect(upload.state).toBe("closed");
  });
});

describe("flow control", () => {
  test("a writer is told to stop over 64 KiB, and to go on at half", () => {
    const wire = new Wire();
    wire.acceptor.greedy = false;
    const stream = wire.dialler.open();
    wire.settle();
    expect(stream.write(Buffer.alloc(QUEUE_HIGH_BYTES))).toBe(true);
    expect(stream.write(Buffer.alloc(1))).toBe(false);
    expect(stream.writableQueued).toBe(QUEUE_HIGH_BYTES + 1);
    wire.settle();
    expect(wire.dialler.recorder(1).drains).toBe(1);
    // Nobody reads: the credit of 256 KiB runs out, then the queue fills, and there it stays.
    for (let i = 0; i < 100 && stream.write(Buffer.alloc(10_000)); i++) wire.settle();
    expect(wire.acceptor.recorder(1).bytes).toBe(256 * 1024);
    expect(stream.writableQueued).toBeLessThanOrEqual(QUEUE_HIGH_BYTES + 10_000);
    expect(stream.credit).toBe(0);
  });

  test("streams with data take turns of 16 KiB, and control frames go first", () => {
    const wire = new Wire();
    const streams = [wire.dialler.open(), wire.dialler.open(), wire.dialler.open()];
    wire.settle();
    for (const stream of streams) stream.write(Buffer.alloc(40_000, stream.id));
    wire.dialler.open({ late: true });
    const frames = wire.dialler.sent();
    expect(frames[0]).toMatchObject({ type: HEADERS, headers: { late: true } });
    const turns = frames.filter(isData).map((frame) => frame.type === DATA && [frame.streamId, frame.payload.length]);
    const rest = 40_000 - 2 * DATA_FRAME_BYTES;
    const rounds = [DATA_FRAME_BYTES, DATA_FRAME_BYTES, rest];
    expect(turns).toEqual(rounds.flatMap((length) => [1, 3, 5].map((id) => [id, length])));
  });

  test("a pull stops at its budget", () => {
    const end = new End("dialler");
    end.sent();
    end.open({}, { body: Buffer.alloc(200_000) });
    end.pull(0, 32_768);
    expect(end.sink.messages.length).toBe(3);
    expect(end.connection.hasOutput).toBe(true);
  });

  test("a stream without credit costs its neighbours nothing", () => {
    const wire = new Wire();
    wire.acceptor.greedy = false;
    const stuck = wire.dialler.open();
    const other = wire.dialler.open();
    wire.settle();
    while (stuck.write(Buffer.alloc(50_000))) wire.settle();
    for (let i = 0; i < 10; i++) {
      other.write(bytes("token"));
      wire.settle();
    }
    expect(wire.acceptor.recorder(3).text).toBe("token".repeat(10));
  });

  test("more bytes than were received cannot be consumed", () => {
    const wire = new Wire();
    wire.acceptor.greedy = false;
    wire.dialler.open({}, { body: bytes("abc") });
    wire.settle();
    expect(() => wire.acceptor.accepted[0]?.consumed(4)).toThrow(RangeError);
  });
});

describe("windows", () => {
  /** A tunnel whose round trip is 10 ms, and a stream on which the peer sends. */
  function receiver(limits = {}): End {
    const end = new End("acceptor", limits);
    end.receive({ type: SETTINGS, ack: false, settings: { version: 1 } });
    end.receive({ type: SETTINGS, ack: true, settings: {} });
    for (let i = 0; i < 3; i++) {
      const ping = end.sent(0).find((frame) => frame.type === PING);
      if (ping?.type === PING) end.receive({ ...ping, ack: true }, 10);
    }
    return end;
  }
  /** The peer sends a whole window in quarters, the reader takes each at once, all within `ms`. */
  function drainWindow(end: End, streamId: number, from: number, ms: number): number {
    const window = end.connection.table.get(streamId)?.window.size ?? 0;
    let granted = 0;
    for (let quarter = 1; quarter <= 4; quarter++) {
      for (let left = window / 4; left > 0; left -= DATA_FRAME_BYTES) {
        const payload = Buffer.alloc(Math.min(left, DATA_FRAME_BYTES));
        end.receive({ type: DATA, streamId, endStream: false, payload }, from + (ms * (quarter - 1)) / 4);
      }
      for (const frame of end.sent(from + (ms * quarter) / 4)) {
        if (frame.type === WINDOW_UPDATE) granted += frame.increment;
      }
    }
    return granted - window;
  }

  test("a window that its reader drains within a round trip grows by half, up to 4 MiB", () => {
    const end = receiver();
    end.receive({ type: HEADERS, streamId: 1, endStream: false, headers: {} });
    const sizes: number[] = [];
    // The clock of a window starts with its first byte; of a later one, when the one before was drained.
    for (let now = 100; now < 300; now += 10) {
      drainWindow(end, 1, now, 10);
      sizes.push((end.connection.table.get(1)?.window.size ?? 0) / 1024);
    }
    expect(sizes.slice(0, 3)).toEqual([384, 576, 864]);
    expect(sizes.at(-1)).toBe(4096);
  });

  test("a steady drain at link speed settles at one and a half bandwidth-delay products", () => {
    const end = receiver();
    end.receive({ type: HEADERS, streamId: 1, endStream: false, headers: {} });
    const bytesPerMs = 100_000; // 100 MB/s over 10 ms: a product of 1 MB
    let now = 100;
    for (let round = 0; round < 20; round++) {
      const window = end.connection.table.get(1)?.window.size ?? 0;
      const ms = Math.max(10, window / bytesPerMs);
      drainWindow(end, 1, now, ms);
      now += ms;
    }
    const size = end.connection.table.get(1)?.window.size ?? 0;
    expect(size).toBeGreaterThan(1_000_000);
    expect(size).toBeLessThanOrEqual(1_500_000);
  });

  test("a slow reader's window stays as it is", () => {
    const end = receiver();
    end.receive({ type: HEADERS, streamId: 1, endStream: false, headers: {} });
    for (let now = 100; now < 2000; now += 200) expect(drainWindow(end, 1, now, 100)).toBe(0);
    expect(end.connection.table.get(1)?.window.size).toBe(256 * 1024);
  });

  test("near the tunnel's cap new streams get the minimum, past it they are refused until the peer knows", () => {
    const end = receiver({ tunnelWindow: 4 * 256 * 1024, minWindow: 16 * 1024 });
    const open = (streamId: number) => {
      end.receive({ type: HEADERS, streamId, endStream: false, headers: {} });
      return end.sent();
    };
    expect([open(1), open(3), open(5)].flat()).toEqual([]);
    expect(open(7)).toEqual([{ type: SETTINGS, ack: false, settings: { initialWindowSize: 16 * 1024 } }]);
    expect(open(9)).toEqual([{ type: RST_STREAM, streamId: 9, code: TunnelErrorCode.REFUSED_STREAM }]);
    end.receive({ type: SETTINGS, ack: true, settings: {} });
    open(11);
    expect(end.connection.table.get(11)?.window.size).toBe(16 * 1024);
    for (const streamId of [1, 3, 5]) end.receive({ type: RST_STREAM, streamId, code: TunnelErrorCode.CANCEL });
    expect(end.sent()).toEqual([{ type: SETTINGS, ack: false, settings: { initialWindowSize: 256 * 1024 } }]);
  });
});

describe("limits", () => {
  test("one stream too many is refused, and may be tried again", () => {
    const wire = new Wire({}, { maxStreams: 2 });
    for (let i = 0; i < 3; i++) wire.dialler.open();
    wire.settle();
    expect(wire.dialler.recorder(5).reset).toMatchObject({ code: TunnelErrorCode.REFUSED_STREAM, retryable: true });
    expect(() => wire.dialler.open()).toThrowError(expect.objectContaining({ code: "too_many_streams" }));
    wire.acceptor.accepted[0]?.reset(TunnelErrorCode.CANCEL);
    wire.settle();
    expect(wire.dialler.open().id).toBe(7);
  });

  const calm = expect.objectContaining({ name: "RemoteProtocolError", code: TunnelErrorCode.ENHANCE_YOUR_CALM });
  const hello: Frame = { type: SETTINGS, ack: false, settings: { version: 1 } };

  test("rapid reset: opening and resetting without end ends the tunnel", () => {
    const end = new End("acceptor", { resetsBurst: 50, resetsPerSecond: 10 });
    end.receive(hello);
    const attack = (streamId: number, now: number) => {
      end.receive({ type: HEADERS, streamId, endStream: false, headers: {} }, now);
      end.receive({ type: RST_STREAM, streamId, code: TunnelErrorCode.CANCEL }, now);
    };
    let id = 1;
    for (let i = 0; i < 50; i++, id += 2) attack(id, 1000);
    for (let now = 1100; now <= 3000; now += 100, id += 2) attack(id, now);
    expect(() => attack(id, 3000)).toThrowError(calm);
  });

  test("resets that the peer provokes count like its own", () => {
    const end = new End("acceptor", { resetsBurst: 5, resetsPerSecond: 1, maxStreams: 1 });
    end.receive(hello);
    const open = (streamId: number) => end.receive({ type: HEADERS, streamId, endStream: true, headers: {} });
    for (let id = 1; id < 13; id += 2) open(id);
    expect(() => open(13)).toThrowError(calm);
  });

  test("opening streams without end ends the tunnel", () => {
    const end = new End("acceptor", { opensBurst: 5, opensPerSecond: 1 });
    end.receive(hello);
    const open = (streamId: number) => end.receive({ type: HEADERS, streamId, endStream: true, headers: {} });
    for (let id = 1; id < 11; id += 2) open(id);
    expect(() => open(11)).toThrowError(calm);
  });

  test("a flood of PINGs, SETTINGS or unknown frames ends the tunnel", () => {
    for (const flood of ["ping", "settings", "unknown"]) {
      const end = new End("acceptor", { controlBurst: 20, controlPerSecond: 1 });
      end.receive(hello);
      const one = () => {
        if (flood === "ping") end.receive({ type: PING, ack: false, opaque: 0n });
        else if (flood === "settings") end.receive(hello);
        else end.connection.receive(Buffer.from([0x42, 0, 0, 0, 0, 0]), 0);
      };
      for (let i = 0; i < 19; i++) one();
      expect(one, flood).toThrowError(calm);
    }
  });

  test("answers that the peer does not read are bounded", () => {
    const end = new End("acceptor", { controlBurst: 1e6 });
    end.receive(hello);
    const flood = () => {
      for (let i = 0; i < 10_000; i++) end.receive({ type: PING, ack: false, opaque: 0n });
    };
    expect(flood).toThrowError(calm);
  });

  test("the last stream id is the tunnel's last stream", () => {
    const end = new End("dialler");
    end.connection.table.nextOwnId = MAX_STREAM_ID;
    end.open();
    expect(() => end.open()).toThrowError(expect.objectContaining({ code: "tunnel_draining" }));
    expect(end.sent().at(-1)).toMatchObject({ type: PING });
    expect(end.connection.state).toBe("draining");
  });
});

describe("frames that break the rules", () => {
  const payload = bytes("x");
  const opened: Frame = { type: HEADERS, streamId: 1, endStream: false, headers: {} };
  const hello: Frame = { type: SETTINGS, ack: false, settings: { version: 1 } };
  const data: Frame = { type: DATA, streamId: 1, endStream: false, payload };
  const last: Frame = { type: DATA, streamId: 1, endStream: true, payload };
  const reset: Frame = { type: RST_STREAM, streamId: 1, code: TunnelErrorCode.CANCEL };
  const { PROTOCOL_ERROR, STREAM_CLOSED, FLOW_CONTROL_ERROR, ENHANCE_YOUR_CALM } = TunnelErrorCode;
  /** To an acceptor that has opened stream 2 itself. The last frame is the wrong one. */
  const table: [string, TunnelErrorCode, Frame[]][] = [
    ["a first frame that is not SETTINGS", PROTOCOL_ERROR, [opened]],
    ["first SETTINGS without a version", PROTOCOL_ERROR, [{ ...hello, settings: {} }]],
    ["an even stream id from the dialler that was never opened", PROTOCOL_ERROR, [hello, { ...opened, streamId: 4 }]],
    ["a stream id that goes back", STREAM_CLOSED, [hello, { ...opened, streamId: 3 }, { ...opened, streamId: 1 }]],
    ["DATA on an idle stream", PROTOCOL_ERROR, [hello, data]],
    ["RST_STREAM on an idle stream", PROTOCOL_ERROR, [hello, reset]],
    ["RST_STREAM on an idle stream of ours", PROTOCOL_ERROR, [hello, { ...reset, streamId: 4 }]],
    ["WINDOW_UPDATE on an idle stream", PROTOCOL_ERROR, [hello, { type: WINDOW_UPDATE, streamId: 1, increment: 1 }]],
    ["empty DATA", PROTOCOL_ERROR, [hello, opened, { ...data, payload: Buffer.alloc(0) }]],
    ["DATA after the end", STREAM_CLOSED, [hello, opened, last, data]],
    ["HEADERS after the end", STREAM_CLOSED, [hello, opened, last, opened]],
    ["DATA after its own reset", STREAM_CLOSED, [hello, opened, reset, data]],
    ["HEADERS after its own reset", STREAM_CLOSED, [hello, opened, reset, opened]],
    ["HEADERS between DATA", PROTOCOL_ERROR, [hello, opened, data, opened]],
    ["seventeen HEADERS", ENHANCE_YOUR_CALM, [hello, ...new Array<Frame>(17).fill(opened)]],
    [
      "DATA over the credit",
      FLOW_CONTROL_ERROR,
      [hello, opened, ...new Array<Frame>(5).fill({ ...data, payload: Buffer.alloc(65_000) })],
    ],
    [
      "credit over 2^31 - 1",
      FLOW_CONTROL_ERROR,
      [hello, opened, { type: WINDOW_UPDATE, streamId: 1, increment: 0x7fffffff }],
    ],
    ["a PING answer to no PING", PROTOCOL_ERROR, [hello, { type: PING, ack: true, opaque: 77n }]],
    [
      "a SETTINGS answer too many",
      PROTOCOL_ERROR,
      [hello, { type: SETTINGS, ack: true, settings: {} }, { type: SETTINGS, ack: true, settings: {} }],
    ],
  ];

  test.each(table)("%s", (_name, code, frames) => {
    const end = new End("acceptor");
    end.greedy = false;
    end.open();
    end.sent();
    for (const frame of frames.slice(0, -1)) end.receive(frame);
    const wrong = () => end.receive(frames.at(-1) as Frame);
    expect(wrong).toThrowError(expect.objectContaining({ name: "RemoteProtocolError", code }));
  });

  test("WINDOW_UPDATE and RST_STREAM on a stream that has ended are nothing", () => {
    const end = new End("acceptor");
    for (const frame of [hello, opened, reset]) end.receive(frame);
    end.receive({ type: WINDOW_UPDATE, streamId: 1, increment: 1 });
    end.receive(reset);
  });

  test("after our reset the peer's frames on their way are tolerated, within its credit, until it has answered", () => {
    const end = new End("acceptor");
    for (const frame of [hello, opened, data]) end.receive(frame);
    end.accepted[0]?.reset(TunnelErrorCode.CANCEL);
    for (let i = 0; i < 3; i++) end.receive(data);
    expect(end.recorder(1).bytes).toBe(1);
    const ping = end.sent().find((frame) => frame.type === PING);
    if (ping?.type !== PING) throw new Error("no PING");
    end.receive({ ...ping, ack: true });
    expect(() => end.receive(data)).toThrowError(expect.objectContaining({ code: STREAM_CLOSED }));
  });

  test("after our reset the peer may not go beyond the credit it had", () => {
    const end = new End("acceptor");
    for (const frame of [hello, opened]) end.receive(frame);
    end.accepted[0]?.reset(TunnelErrorCode.CANCEL);
    const much: Frame = { ...data, payload: Buffer.alloc(65_000) };
    for (let i = 0; i < 4; i++) end.receive(much);
    expect(() => end.receive(much)).toThrowError(expect.objectContaining({ code: FLOW_CONTROL_ERROR }));
  });
});

describe("the end of a tunnel", () => {
  test("GOAWAY: streams under way finish, later ones are refused, nobody opens more", () => {
    const wire = new Wire();
    const early = wire.dialler.open();
    wire.settle();
    const late = wire.dialler.open();
    late.write(bytes("on its way"));
    wire.dialler.pull();
    wire.acceptor.connection.goAway("restart");
    wire.settle();
    expect(wire.dialler.events).toEqual(["draining restart"]);
    expect(wire.dialler.recorder(late.id).reset).toMatchObject({ code: TunnelErrorCode.REFUSED_STREAM });
    expect(wire.acceptor.accepted.length).toBe(1);
    for (const end of [wire.dialler, wire.acceptor]) {
      expect(() => end.open()).toThrowError(expect.objectContaining({ code: "tunnel_draining" }));
    }
    early.end(bytes("still works"));
    wire.acceptor.accepted[0]?.end();
    wire.settle();
    expect(wire.acceptor.recorder(1).text).toBe("still works");
    expect(wire.acceptor.events).toEqual(["draining restart", "drained"]);
    expect(wire.dialler.events).toEqual(["draining restart", "drained"]);
  });

  test("abort: handlers learn of it, and GOAWAY is all that is left", () => {
    const wire = new Wire();
    wire.dialler.open().write(bytes("x"));
    const cause = new Error("why");
    wire.dialler.connection.abort(TunnelErrorCode.PROTOCOL_ERROR, "broken", cause);
    expect(wire.dialler.recorder(1).reset).toMatchObject({ origin: "tunnel", cause });
    const goaway = { type: GOAWAY, lastStreamId: 0, code: TunnelErrorCode.PROTOCOL_ERROR, debug: "broken" };
    expect(wire.dialler.sent()).toEqual([goaway]);
    expect(() => wire.dialler.open()).toThrowError(expect.objectContaining({ code: "tunnel_closed" }));
  });
});

describe("handlers", () => {
  test("one that throws loses its stream, not the tunnel", () => {
    const wire = new Wire();
    wire.dialler.open({}, { body: bytes("boom") });
    wire.settle();
    const served = wire.acceptor.accepted[0];
    const broken = new Recorder();
    broken.onData = () => {
      throw new Error("bug");
    };
    if (served) served.handler = broken;
    wire.dialler.connection.table.get(1)?.write(bytes("boom"));
    wire.settle();
    expect(wire.acceptor.events).toEqual(["handler: bug"]);
    expect(wire.dialler.recorder(1).reset).toMatchObject({ code: TunnelErrorCode.INTERNAL_ERROR });
    wire.dialler.open({}, { body: bytes("fine") });
    wire.settle();
    expect(wire.acceptor.recorder(3).text).toBe("fine");
  });

  test("a stream without a handler is reset at its first event", () => {
    const errors: string[] = [];
    const end = new End("acceptor", {}, { onStream: () => {}, onHandlerError: (error) => errors.push(String(error)) });
    end.receive({ type: SETTINGS, ack: false, settings: { version: 1 } });
    end.receive({ type: HEADERS, streamId: 1, endStream: true, headers: {} });
    expect(errors).toEqual(["Error: stream 1 has no handler"]);
    expect(end.sent()).toContainEqual({ type: RST_STREAM, streamId: 1, code: TunnelErrorCode.INTERNAL_ERROR });
  });

  test("may open, write to and reset streams from within a call", () => {
    const wire = new Wire();
    wire.acceptor.connection.calls.data = (stream, chunk) => {
      stream.consumed(chunk.length);
      const back = wire.acceptor.open({ echo: stream.id });
      back.end(chunk);
      stream.reset(TunnelErrorCode.CANCEL);
    };
    wire.dialler.open({}, { body: bytes("one"), endStream: true });
    wire.dialler.open({}, { body: bytes("two"), endStream: true });
    wire.settle();
    expect(wire.dialler.recorder(2).text + wire.dialler.recorder(4).text).toBe("onetwo");
  });
});

describe("keep-alive", () => {
  test("three round trips are measured at the start, the shortest counts", () => {
    const end = new End("dialler");
    end.receive({ type: SETTINGS, ack: false, settings: { version: 1 } });
    let now = 0;
    for (const rtt of [30, 12, 20]) {
      const ping = end.sent(now).find((frame) => frame.type === PING);
      if (ping?.type === PING) end.receive({ ...ping, ack: true }, now + rtt);
      now += 100;
    }
    expect(end.connection.keepalive.minRttMs).toBe(12);
    expect(end.sent(now)).toEqual([]);
  });

  test("two silent intervals are death, any frame is life", () => {
    const end = new End("dialler");
    end.receive({ type: SETTINGS, ack: false, settings: { version: 1 } });
    expect(end.connection.tick()).toBe(true);
    expect(end.connection.tick()).toBe(true);
    end.receive({ type: PING, ack: false, opaque: 1n });
    expect(end.connection.tick()).toBe(true);
    expect(end.connection.tick()).toBe(true);
    expect(end.connection.tick()).toBe(false);
  });
});
