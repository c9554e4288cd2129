import { expect, it } from "vitest";
import { drawn } from "../src/lib/window";

it.each([
  [0, 0, 800, 0, 0],
  [10, 0, 800, 0, 10],
  [5000, 0, 800, 0, 37],
  [5000, 3200, 800, 88, 137],
  [5000, 160_000, 800, 4988, 5000],
  [121, 160_000, 800, 109, 121],
  [120, 160_000, 800, 0, 120],
])("of %d rows at %d px of %d px, from %d to %d", (rows, top, height, first, end) => {
  expect(drawn(rows, 32, top, height)).toEqual({ first, end });
});
