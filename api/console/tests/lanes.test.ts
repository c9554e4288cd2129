import { expect, it } from "vitest";
import { type Claim, axisOf, endWords, endingOf, lanes } from "../src/lib/lanes";

const step = (second: number) => ({ seq: second + 1, at: `2026-11-29T12:00:${String(second).padStart(2, "0")}Z` });
const claim = (id: string, claimed: number, granted: number | null, released: number | null, more: Partial<Claim> = {}): Claim => ({
  task_id: id,
  title: id,
  attempt: 1,
  paths: ["src"],
  mode: "exclusive",
  runner_id: null,
  token: granted,
  claimed: step(claimed),
  granted: granted === null ? null : step(granted),
  refused: null,
  left: null,
  released: released === null ? null : step(released),
  cause: null,
  ...more,
});
const at = (second: number) => Date.parse(step(second).at);

it("puts claims of a path beside each other, and those that overlap beneath", () => {
  const claims = [claim("c", 20, 20, null), claim("b", 5, 10, 20), claim("a", 0, 0, 10)];
  const axis = axisOf(claims, at(40));
  expect(axis).toEqual({ from: at(0), to: at(40) });
  const [lane] = lanes(claims, axis);
  expect(lane?.path).toBe("src");
  expect(lane?.rows.map((row) => row.map((bar) => bar.claim.task_id).join(" "))).toEqual(["a c", "b"]);
  expect(lane?.rows[1]?.[0]).toMatchObject({ from: 0.125, held: 0.25, to: 0.5, open: false });
  expect(lane?.rows[0]?.[1]).toMatchObject({ from: 0.5, held: 0.5, to: 1, open: true });
});

it("has a lane for each path, the whole workspace first, and none without a claim", () => {
  const claims = [claim("a", 0, 0, 1, { paths: ["web", "docs"] }), claim("b", 2, 2, 3, { paths: [] })];
  expect(lanes(claims, axisOf(claims, at(4))).map((lane) => lane.path)).toEqual(["", "docs", "web"]);
  expect(lanes([], axisOf([], at(4)))).toEqual([]);
  expect(axisOf([], at(4)).to).toBeGreaterThan(axisOf([], at(4)).from);
});

it.each([
  [claim("a", 0, 1, 2, { cause: "succeeded" }), "released", "released: succeeded"],
  [claim("a", 0, 1, 2, { cause: "operator" }), "by hand", "released by hand"],
  [claim("a", 0, null, null, { refused: step(1), cause: "held" }), "refused", "refused: held"],
  [claim("a", 0, null, null, { left: step(1), cause: "canceled" }), "left", "gave up waiting: canceled"],
  [claim("a", 0, 1, null), "open", "holds"],
  [claim("a", 0, null, null), "open", "waits"],
])("says how a claim ended (%#)", (one, ending, words) => {
  expect([endingOf(one), endWords(one)]).toEqual([ending, words]);
});
