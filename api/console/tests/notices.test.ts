import { expect, test } from "vitest";
import { linesOf, lookOf, seenUpto } from "../src/lib/notices";

test("a notice that failed before it waits again is told apart from one that is not due", () => {
  expect(lookOf({ state: "waiting", tries: 0 }).word).toBe("waits");
  expect(lookOf({ state: "waiting", tries: 2 }).word).toBe("tries again");
  expect(lookOf({ state: "dead", tries: 2 }).family).toBe("bad");
});

test("what is told begins with its first line", () => {
  expect(linesOf("failed: build\nwhy\n| last")).toEqual(["Failed: build", "why\n| last"]);
  expect(linesOf("")).toEqual(["", ""]);
});

test("a replay names the newest that was seen, and nothing where none was", () => {
  const [first, second] = ["2026-03-01T12:00:00.000001Z", "2026-03-01T12:00:05Z"];
  expect(seenUpto([{ settled_at: second }, { settled_at: first }, { settled_at: null }])).toBe(second);
  expect(seenUpto([])).toBeNull();
});
