import { expect, it } from "vitest";
import { FAMILY, type State, WORD, mayCancel, mayDispatch, stateOf } from "../src/lib/status";

const task = (status: string, more: object = {}) =>
  ({ status, next_attempt_at: null, question: null, cancel_requested: false, lock: { state: "none" }, ...more }) as Parameters<
    typeof stateOf
  >[0] &
    Parameters<typeof mayCancel>[0];

it("tells waiting, asking and retrying from the status beneath", () => {
  expect(stateOf(task("dispatched", { lock: { state: "waiting" } }))).toBe("waiting");
  expect(stateOf(task("dispatched", { lock: { state: "held" } }))).toBe("dispatched");
  expect(stateOf(task("running", { question: {} }))).toBe("asking");
  expect(stateOf(task("failed", { next_attempt_at: "2026-01-01T00:00:00Z" }))).toBe("retrying");
  expect(stateOf(task("failed"))).toBe("failed");
});

it("has a word and a family for each state, no word twice", () => {
  const states = Object.keys(FAMILY) as State[];
  expect(new Set(states.map((one) => WORD[one])).size).toBe(states.length);
});

it("offers only what the API would take", () => {
  const all = ["created", "dispatched", "queued", "running", "succeeded", "failed", "canceled", "submit-failed"];
  expect(all.filter((one) => mayCancel(task(one)))).toEqual(["created", "dispatched", "queued", "running"]);
  expect(all.filter((one) => mayDispatch(task(one)))).toEqual(["created", "failed", "canceled", "submit-failed"]);
  expect(mayCancel(task("running", { cancel_requested: true }))).toBe(false);
  expect(mayCancel(task("failed", { next_attempt_at: "2026-01-01T00:00:00Z" }))).toBe(true);
});
