import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { type HttpFront, openHttpFront } from "./http-front.ts";

const interior = {
  add: (body: Buffer) => ({ status: 200, type: "text/plain", body: `${body.length}` }),
  newest: () => ({ status: 200, type: "text/plain", body: "" }),
};

describe("openHttpFront", () => {
  const open = async (): Promise<{ front: HttpFront; port: number }> => {
    const front = await openHttpFront(interior, "127.0.0.1", 0, 400);
    return { front, port: Number(new URL(front.url).port) };
  };

  it.each([
    ["a head", "POST /add-checkpoint HTTP/1.1\r\nhost: x\r\n"],
    ["a body", "POST /add-checkpoint HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nold"],
  ])("does not wait for a sender who never ends %s", async (_what, begun) => {
    const { front, port } = await open();
    onTestFinished(() => front.close());
    const socket = connect(port, "127.0.0.1");
    socket.write(begun);
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 408 /);
  });

  it("answers who is being answered, then closes", async () => {
    const { front, port } = await open();
    const socket = connect(port, "127.0.0.1");
    socket.write("POST /add-checkpoint HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nol");
    await new Promise((resolve) => setTimeout(resolve, 50));
    const closed = front.close();
    socket.write("d\n");
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /);
    await closed;
  });

  it("says when the port is taken", async () => {
    const { front, port } = await open();
    onTestFinished(() => front.close());
    await expect(openHttpFront(interior, "127.0.0.1", port)).rejects.toMatchObject({
      code: "conflict",
      message: `port ${port} is taken`,
    });
  });
});
