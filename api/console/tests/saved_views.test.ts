import { expect, it } from "vitest";
import { MOST_VIEWS, filtersOf, known, withView } from "../src/lib/saved_views";

it("keeps a search under a name, one for each", () => {
  const one = withView([], "mine", { status: ["failed"], label: ["team:web shop"] });
  expect(one).toEqual([{ name: "mine", search: 'status:failed label:"team:web shop"' }]);
  expect(filtersOf(one[0]!)).toEqual({ status: ["failed"], label: ["team:web shop"] });
  expect(withView(one, "mine", { q: ["x"] })).toEqual([{ name: "mine", search: "x" }]);
});

it("takes nothing else from what is stored", () => {
  expect(known("text")).toEqual([]);
  expect(known([null, 3, { name: 1 }, { name: "a", search: "status:failed" }])).toEqual([{ name: "a", search: "status:failed" }]);
  expect(known(Array.from({ length: 100 }, () => ({ name: "a", search: "" })))).toHaveLength(MOST_VIEWS);
});
