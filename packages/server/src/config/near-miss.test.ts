import { expect, it } from "vitest";
import { nearMiss } from "./near-miss.ts";

it.each([
  ["public_url", "publicUrl"],
  ["publicURL", "publicUrl"],
  ["lisetn", "listen"],
  ["rule", "rules"],
  ["tsl", "tls"],
  ["connection", "connections"],
  ["masking", undefined],
  ["abc", undefined],
  ["x".repeat(1_000_000), undefined],
  ["", undefined],
])("%s", (written, meant) => {
  expect(nearMiss(written, ["listen", "publicUrl", "tls", "connections", "rules", "roles"])).toBe(meant);
});
