import { expect, it } from "vitest";
import { type Runner, countdown, leaseLeft, needyFirst } from "../src/lib/runners";

const at = (second: number) => `2026-01-01T00:00:${String(second).padStart(2, "0")}Z`;
const moment = (second: number) => Date.parse(at(second));
const runner = (state: Runner["state"], more: Partial<Runner> = {}) =>
  ({ id: state, state, last_heartbeat: at(0), lease_until: at(15), lost_at: at(45), awaiting_operator: [], conflict: [], ...more }) as Runner;

it("counts down to what happens next", () => {
  expect(countdown(runner("alive"), moment(6))).toBe("lease 9s");
  expect(countdown(runner("suspected"), moment(20))).toBe("lost in 25s");
  expect(countdown(runner("suspected"), moment(50))).toBe("lost at any moment");
  expect(countdown(runner("lost"), moment(57))).toBe("for 12s");
});

it("knows how much of a lease is left", () => {
  expect([0, 3, 15, 59].map((second) => leaseLeft(runner("alive"), moment(second)))).toEqual([1, 0.8, 0, 0]);
  expect(leaseLeft(runner("alive", { lease_until: at(0) }), moment(0))).toBe(0);
});

it("puts first what needs a person", () => {
  const kept = { awaiting_operator: [{ task_id: "t", attempt: 1 }] };
  const all = [runner("alive"), runner("alive", { id: "zed", ...kept }), runner("suspected"), runner("lost"), runner("alive", { id: "able" })];
  expect(needyFirst(all).map((one) => one.id)).toEqual(["zed", "lost", "suspected", "able", "alive"]);
});
