import { expect, it } from "vitest";
import { Slots, type Waiter } from "./slots.ts";

function numbered(count: number): Slots<number> {
  let made = 0;
  return new Slots(count, () => {
    made += 1;
    return made;
  });
}
const nobody: Waiter<number> = { onSlot() {} };

it("makes no more than it may, and hands the last one used out first", () => {
  const slots = numbered(2);
  expect([slots.take(nobody), slots.take(nobody), slots.take(nobody)]).toEqual([1, 2, undefined]);
  slots.leave(nobody);
  slots.giveBack(1);
  slots.giveBack(2);
  expect([slots.take(nobody), slots.take(nobody)]).toEqual([2, 1]);
});

it("serves those who wait in their order, none that has left, and nobody past them", async () => {
  const slots = numbered(1);
  const order: string[] = [];
  const named = (name: string): Waiter<number> => ({ onSlot: () => order.push(name) });
  const [a, b, c] = [named("a"), named("b"), named("c")];
  slots.take(nobody);
  for (const waiter of [a, b, c]) expect(slots.take(waiter)).toBeUndefined();
  slots.leave(b);
  slots.giveBack(1);
  expect(slots.take(named("late"))).toBeUndefined();
  expect(order).toEqual([]);
  for (const expected of [["a"], ["a", "c"], ["a", "c", "late"]]) {
    await Promise.resolve();
    expect(order).toEqual(expected);
    slots.giveBack(1);
  }
  expect(slots.take(nobody)).toBe(1);
});

it("survives a crowd that gives back at once", async () => {
  const slots = numbered(1);
  let served = 0;
  slots.take(nobody);
  for (let waiter = 0; waiter < 50_000; waiter++) {
    slots.take({
      onSlot(slot) {
        served += 1;
        slots.giveBack(slot);
      },
    });
  }
  slots.giveBack(1);
  await Promise.resolve();
  expect(served).toBe(50_000);
  expect([slots.take(nobody), slots.take(nobody)]).toEqual([1, undefined]);
});
