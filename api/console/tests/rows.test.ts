import { expect, it } from "vitest";
import type { Row } from "../src/lib/api";
import { begin, extended, newest, refreshed, refreshedOldest, updated } from "../src/lib/rows";

const task = (id: string, created: number, seq = created): Row =>
  ({ id, seq, created_at: `2026-01-01T00:00:${String(created).padStart(2, "0")}Z` }) as Row;
const ids = (tasks: readonly Row[]) => tasks.map((one) => one.id).join(" ");
const page = (items: Row[], next_cursor: string | null = null) => ({ items, next_cursor });

it("keeps new rows back until they are asked for", () => {
  const first = begin(page([task("b", 2), task("a", 1)]));
  const later = refreshed(first, page([task("d", 4), task("c", 3), task("b", 2, 9), task("a", 1)]));
  expect([ids(later.rows), ids(later.fresh), later.gap]).toEqual(["b a", "d c", false]);
  expect(later.rows[0]?.seq).toBe(9);
  expect(ids(newest(later).rows)).toBe("d c b a");
  expect(newest(later).fresh).toEqual([]);
});

it("lets the newer sequence win", () => {
  const listed = refreshed(begin(page([task("a", 1, 7)])), page([task("a", 1, 5)]));
  expect(listed.rows[0]?.seq).toBe(7);
});

it("begins anew where more has come than a page holds", () => {
  const listed = refreshed(begin(page([task("a", 1)])), page([task("d", 4), task("c", 3)], "older"));
  expect(listed.gap).toBe(true);
  const anew = newest(listed);
  expect([ids(anew.rows), anew.cursor, anew.gap]).toEqual(["d c", "older", false]);
});

it("takes older pages, and no older row for a new one", () => {
  const two = extended(begin(page([task("c", 3), task("b", 2)], "x")), page([task("b", 2), task("a", 1)]));
  expect([ids(two.rows), two.cursor]).toEqual(["c b a", null]);
  const back = refreshed(begin(page([task("c", 3)], "x")), page([task("c", 3), task("b", 2)], "y"));
  expect(ids(back.fresh)).toBe("");
});

it("keeps back what the search finds only since then, and shows it in its place", () => {
  const failed = begin(page([task("d", 4), task("b", 2)]));
  const later = refreshed(failed, page([task("d", 4), task("c", 3), task("b", 2), task("a", 1)]));
  expect([ids(later.rows), ids(later.fresh), later.gap]).toEqual(["d b", "c a", false]);
  expect(ids(newest(later).rows)).toBe("d c b a");
});

it("shows at once what comes into an empty list", () => {
  expect(ids(refreshed(begin(page([])), page([task("a", 1)])).rows)).toBe("a");
});

it("changes rows that were loaded again in their places", () => {
  const listed = begin(page([task("b", 2), task("a", 1)], "x"));
  const now = updated(listed, [task("a", 1, 9), task("z", 9)]);
  expect([ids(now.rows), now.rows[1]?.seq, now.cursor]).toEqual(["b a", 9, "x"]);
});

it("lets new rows come at the end where the oldest are first", () => {
  const all = begin(page([task("a", 1), task("b", 2)]));
  expect(ids(refreshedOldest(all, page([task("a", 1), task("b", 2), task("c", 3)])).rows)).toBe("a b c");
  const more = begin(page([task("a", 1)], "x"));
  expect(ids(refreshedOldest(more, page([task("a", 1)], "x")).rows)).toBe("a");
});
