import { describe, expect, it } from "vitest";
import { type Attempt, asOf, axis, place, segments, spent, ticks } from "../src/lib/timeline";

const T = Date.parse("2026-01-01T00:00:00Z");
const point = (second: number, seq = second + 1) => ({ seq, at: new Date(T + second * 1000).toISOString() });
const attempt = (steps: Partial<Attempt>): Attempt =>
  ({ attempt: 1, status: "running", by: "operator:a", pool: "default", claimed: point(0), ...steps }) as Attempt;
const drawn = (one: Attempt) => segments(one).map(({ step, from, to }) => [step, (from - T) / 1000, to === null ? null : (to - T) / 1000]);

describe("segments", () => {
  it("of an attempt with a lock", () => {
    const one = attempt({ granted: point(10), queued: point(11), started: point(12), ended: point(60), released: point(61) });
    expect(drawn(one)).toEqual([
      ["waited", 0, 10],
      ["held", 10, 11],
      ["queued", 11, 12],
      ["running", 12, 60],
      ["held", 60, 61],
    ]);
  });

  it("of one that waits", () => {
    expect(drawn(attempt({}))).toEqual([["waited", 0, null]]);
  });

  it("of one that was refused its lock", () => {
    expect(drawn(attempt({ refused: point(3), ended: point(4) }))).toEqual([["waited", 0, 3]]);
  });

  it("of one without a workspace", () => {
    expect(drawn(attempt({ queued: point(1), started: point(2) }))).toEqual([
      ["waited", 0, 1],
      ["queued", 1, 2],
      ["running", 2, null],
    ]);
  });

  it("of one that was canceled while it waited, and of one whose lock is still held", () => {
    expect(drawn(attempt({ ended: point(5) }))).toEqual([["waited", 0, 5]]);
    const lost = attempt({ granted: point(1), queued: point(2), started: point(3), ended: point(9) });
    expect(drawn(lost).at(-1)).toEqual(["held", 9, null]);
  });

  it("add up to what the table shows", () => {
    const found = segments(attempt({ granted: point(10), queued: point(11), started: point(12) }));
    expect(spent(found, "running", T + 20_000)).toEqual({ ms: 8000, goesOn: true });
    expect(spent(found, "waited", T + 20_000)).toEqual({ ms: 10_000, goesOn: false });
    expect(spent(segments(attempt({})), "running", T)).toBeNull();
  });
});

it("takes away what came later than the moment that is shown", () => {
  const one = attempt({ granted: point(10), queued: point(11), started: point(12), ended: point(60), token: 11, status: "failed", reason: "exit" });
  const [then] = asOf([one, attempt({ attempt: 2, claimed: point(70) })], "12");
  expect([then?.granted?.seq, then?.started, then?.ended, then?.status, then?.reason]).toEqual([11, undefined, undefined, "queued", null]);
  expect(asOf([one], "2026-01-01T00:00:12Z")[0]?.status).toBe("running");
  expect(asOf([one], "2026-01-01T00:00:05Z")[0]?.token).toBeNull();
  expect(asOf([one], "0")).toEqual([]);
  const bound = { ...one, runner_id: "host-7", started_at: "2026-01-01T00:00:12Z", finished_at: "2026-01-01T00:01:00Z" };
  const seen = (at: string) => asOf([bound], at).map((then) => [then.runner_id, then.started_at, then.finished_at]);
  expect(seen("11")).toEqual([[null, null, null]]);
  expect(seen("12")).toEqual([["host-7", null, null]]);
  expect(seen("13")).toEqual([["host-7", bound.started_at, null]]);
});

describe("axis", () => {
  it("is linear where something happens", () => {
    const found = axis([[0, 50], [50, 100]], 1000);
    expect(found).toEqual([{ from: 0, to: 100, x: 0, width: 1000, folded: false }]);
    expect(place(found, 25)).toBe(250);
  });

  it("folds what is idle", () => {
    const found = axis([[0, 60], [7200, 7260]], 1056);
    expect(found.map((one) => [one.x, one.width, one.folded])).toEqual([[0, 500, false], [500, 56, true], [556, 500, false]]);
    expect([place(found, 30), place(found, 7230)]).toEqual([250, 806]);
    expect(place(found, 3630)).toBe(528);
  });

  it("keeps short gaps, and a moment that is far away at its end", () => {
    expect(axis([[0, 100], [110, 200]], 500)).toHaveLength(1);
    const found = axis([[0, 10], [3600, 3600]], 500);
    expect(found.map((one) => one.folded)).toEqual([false, true, false]);
    expect(place(found, 3600)).toBe(500);
  });

  it("leaves room for the attempts of a task with many", () => {
    const many = Array.from({ length: 200 }, (_, index) => [index * 1000, index * 1000 + 1] as const);
    const found = axis(many, 1000);
    expect(found.at(-1)!.x + found.at(-1)!.width).toBeCloseTo(1000);
    expect(found.filter((one) => one.folded).reduce((sum, one) => sum + one.width, 0)).toBeCloseTo(500);
  });

  it("has nothing for nothing", () => {
    expect(axis([], 100)).toEqual([]);
    expect(place([], 5)).toBe(0);
  });
});

it("has ticks at round times", () => {
  const found = ticks(axis([[T + 3000, T + 303_000]], 600), 100);
  expect(found.map((one) => (one - T) / 1000)).toEqual([60, 120, 180, 240, 300]);
});
