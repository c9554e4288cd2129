import { expect, it } from "vitest";
import type { Row } from "../src/lib/api";
import { inOrder, nextSort, order, parseSort } from "../src/lib/sorting";

const T = "2026-01-01T00:00:";
const row = (id: string, more: Partial<Row>): Row =>
  ({ id, title: id, status: "running", attempt: 1, lock: { state: "none" }, started_at: null, finished_at: null, dispatched_at: null, ...more }) as Row;

it("sorts by how long they ran, those that never did last", () => {
  const rows = [row("none", {}), row("short", { started_at: `${T}00Z`, finished_at: `${T}01Z` }), row("open", { started_at: `${T}00Z` })];
  const now = Date.parse(`${T}09Z`);
  expect(order(rows, { key: "ran", down: true }, now)).toEqual(["open", "short", "none"]);
  expect(order(rows, { key: "ran", down: false }, now)).toEqual(["short", "open", "none"]);
});

it("keeps the order of equals", () => {
  const rows = [row("b", { title: "Same" }), row("a", { title: "same" })];
  expect(order(rows, { key: "title", down: true }, 0)).toEqual(["b", "a"]);
});

it("loses no row that has come since the order was made", () => {
  const rows = ["new", "b", "a", "newer"].map((id) => row(id, {}));
  expect(inOrder(rows, ["a", "gone", "b"]).map((one) => one.id)).toEqual(["a", "b", "new", "newer"]);
});

it.each([
  ["ran", { key: "ran", down: false }],
  ["-title", { key: "title", down: true }],
  ["nonsense", null],
  [null, null],
])("reads %j from the address", (text, sort) => {
  expect(parseSort(text)).toEqual(sort);
});

it("turns with each press, and back to the order of the API", () => {
  expect(["title", nextSort(null, "title"), nextSort(parseSort("title"), "title"), nextSort(parseSort("-title"), "title")]).toEqual(
    ["title", "title", "-title", null],
  );
  expect([nextSort(null, "ran"), nextSort(parseSort("-ran"), "ran"), nextSort(parseSort("ran"), "ran")]).toEqual(["-ran", "ran", null]);
});
