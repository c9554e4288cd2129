import { expect, it } from "vitest";
import { forgetOldest } from "../src/lib/bounded";

it("keeps the newest titles only, however long a page stays open", () => {
  const known = new Map(["a", "b", "c", "d"].map((id) => [id, id]));
  forgetOldest(known, 4);
  expect([...known.keys()]).toEqual(["a", "b", "c", "d"]);
  forgetOldest(known, 2);
  expect([...known.keys()]).toEqual(["c", "d"]);
});
