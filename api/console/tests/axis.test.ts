import { expect, it } from "vitest";
import { CLOSEST, centred, holding, labels, merged, seqAt, share, timeAt, zoomed } from "../src/lib/axis";

const whole = { from: 1, to: 1_000_001 };
const tick = (seq: number, at: string) => ({ seq, at: `2026-11-29T${at}Z` });

it("is linear in sequences, and goes back and forth", () => {
  expect([share(1, whole), share(500_001, whole), share(1_000_001, whole)]).toEqual([0, 0.5, 1]);
  expect([share(-5, whole), share(2_000_000, whole), share(7, { from: 7, to: 7 })]).toEqual([0, 1, 1]);
  for (const seq of [1, 2, 999, 333_333, 1_000_001]) expect(seqAt(share(seq, whole), whole)).toBe(seq);
});

it("zooms around a sequence that keeps its place, and never out of the log", () => {
  const near = zoomed(whole, whole, 250_001, 0.1);
  expect(near).toEqual({ from: 225_001, to: 325_001 });
  expect(share(250_001, near)).toBe(share(250_001, whole));
  expect(zoomed(near, whole, 250_001, 1000)).toEqual(whole);
  let closest = whole;
  for (let times = 0; times < 12; times += 1) closest = zoomed(closest, whole, 1_000_001, 0.25);
  expect(closest).toEqual({ from: 1_000_001 - CLOSEST, to: 1_000_001 });
  expect(zoomed({ from: 1, to: 5 }, { from: 1, to: 5 }, 3, 0.5)).toEqual({ from: 1, to: 5 });
});

it("moves only as far as a sequence needs, and stays inside", () => {
  const near = { from: 100, to: 200 };
  expect(holding(near, whole, 150)).toBe(near);
  expect(holding(near, whole, 90)).toEqual({ from: 65, to: 165 });
  expect(holding(near, whole, 201)).toEqual({ from: 126, to: 226 });
  expect(holding(near, whole, 3)).toEqual({ from: 1, to: 101 });
  expect(centred(near, whole, 1_000_000)).toEqual({ from: 999_901, to: 1_000_001 });
});

it("knows the time of a tick, guesses between two, and nothing outside", () => {
  const ticks = merged([tick(30, "12:00:20")], [tick(10, "12:00:00"), tick(30, "12:00:20")]);
  expect(ticks.map((one) => one.seq)).toEqual([10, 30]);
  expect(timeAt(10, ticks)).toEqual({ at: new Date("2026-11-29T12:00:00Z"), exact: true });
  expect(timeAt(15, ticks)).toEqual({ at: new Date("2026-11-29T12:00:05Z"), exact: false });
  expect([timeAt(9, ticks), timeAt(31, ticks), timeAt(1, [])]).toEqual([null, null, null]);
});

it("writes times beneath the axis, with the day where there are several, and none twice", () => {
  const range = { from: 1, to: 101 };
  const day = [tick(1, "12:00:00"), tick(101, "13:40:00")];
  expect(labels(day, range, 2)).toEqual([
    { seq: 26, text: "12:25:00" },
    { seq: 76, text: "13:15:00" },
  ]);
  const days = [tick(1, "12:00:00"), { seq: 101, at: "2026-12-01T12:00:00Z" }];
  expect(labels(days, range, 2).map((one) => one.text)).toEqual(["30 Nov 00:00", "1 Dec 00:00"]);
  expect(labels([tick(1, "12:00:00"), tick(101, "12:00:00")], range, 5)).toHaveLength(1);
  expect(labels([], range, 5)).toEqual([]);
});
