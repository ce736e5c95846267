import { expect, it } from "vitest";
import { type EndListener, EndListeners, type SessionEnd } from "./end-listeners.ts";

const END: SessionEnd = { reason: "over", code: "session_closed" };

function listeners(count: number): { told: number[]; all: EndListener[] } {
  const told: number[] = [];
  const all = Array.from({ length: count }, (_, n) => ({ place: -1, sessionEnded: () => void told.push(n) }));
  return { told, all };
}

it("tells all that are there, and each once", () => {
  const { told, all } = listeners(5);
  const session = new EndListeners();
  for (const listener of all) session.add(listener);
  // The first, the last, one in between: each leaves a gap of another kind.
  for (const n of [0, 4, 2]) session.remove(all[n] as EndListener);
  session.remove(all[2] as EndListener);
  for (const listener of session.takeAll()) listener.sessionEnded(END);
  for (const listener of session.takeAll()) listener.sessionEnded(END);
  expect(told.sort()).toEqual([1, 3]);
});

it("lets a listener leave after all were taken, and come again", () => {
  const { told, all } = listeners(2);
  const session = new EndListeners();
  for (const listener of all) session.add(listener);
  session.takeAll();
  for (const listener of all) session.remove(listener);
  session.add(all[1] as EndListener);
  for (const listener of session.takeAll()) listener.sessionEnded(END);
  expect(told).toEqual([1]);
});
