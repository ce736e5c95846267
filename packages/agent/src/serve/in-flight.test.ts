import { expect, it } from "vitest";
import { InFlight } from "./in-flight.ts";

it("holds what was added and not removed, whichever goes first", () => {
  const items = Array.from({ length: 6 }, (_, name) => ({ name, place: -1 }));
  const inFlight = new InFlight<(typeof items)[number]>();
  for (const item of items) inFlight.add(item);
  for (const name of [5, 0, 3]) inFlight.remove(items[name] as (typeof items)[number]);
  expect(inFlight.size).toBe(3);
  expect(
    inFlight
      .all()
      .map(({ name }) => name)
      .sort(),
  ).toEqual([1, 2, 4]);
  for (const item of inFlight.all()) inFlight.remove(item);
  expect(inFlight.size).toBe(0);
});
