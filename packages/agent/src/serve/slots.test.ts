import { expect, it } from "vitest";
import { Slots, type Waiter } from "./slots.ts";

function waiter(onSlot: () => void = () => {}): Waiter & { calls: number } {
  const it = {
    calls: 0,
    onSlot() {
      it.calls += 1;
      onSlot();
    },
  };
  return it;
}

it("hands slots out in the order of asking, and none to who has left", () => {
  const slots = new Slots(1);
  const order: string[] = [];
  const named = (name: string): Waiter => waiter(() => order.push(name));
  const [a, b, c] = [named("a"), named("b"), named("c")];
  expect([slots.take(waiter()), slots.take(a), slots.take(b), slots.take(c)]).toEqual([true, false, false, false]);
  slots.leave(b);
  slots.giveBack();
  expect(order).toEqual(["a"]);
  slots.giveBack();
  slots.giveBack();
  expect(order).toEqual(["a", "c"]);
  expect([slots.take(waiter()), slots.take(waiter())]).toEqual([true, false]);
});

it("survives a crowd that gives back at once", () => {
  const slots = new Slots(2);
  slots.take(waiter());
  const crowd = Array.from({ length: 50_000 }, () => waiter(() => slots.giveBack()));
  slots.take(waiter());
  for (const each of crowd) slots.take(each);
  slots.giveBack();
  expect(crowd.every(({ calls }) => calls === 1)).toBe(true);
  expect([slots.take(waiter()), slots.take(waiter())]).toEqual([true, false]);
});
