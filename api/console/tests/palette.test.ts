import { describe, expect, it } from "vitest";
import { type Entry, matching, step } from "../src/lib/palette.ts";

const entries = (...labels: string[]): Entry[] => labels.map((label) => ({ id: label, label, run: () => {} }));
const labels = (found: Entry[]) => found.map((one) => one.label);

describe("matching", () => {
  it("keeps what has every word, and puts first what begins so", () => {
    const all = entries("Return to live", "Locks", "Show locks of shop", "Tasks");
    expect(labels(matching(all, "lock"))).toEqual(["Locks", "Show locks of shop"]);
    expect(labels(matching(all, "SHOP show"))).toEqual(["Show locks of shop"]);
    expect(labels(matching(all, "  "))).toEqual(["Return to live", "Locks", "Show locks of shop", "Tasks"]);
  });

  it("offers no more than fit", () => {
    expect(matching(entries(...Array.from({ length: 20 }, (_, index) => `task ${index}`)), "task")).toHaveLength(7);
  });
});

describe("step", () => {
  it("goes around the ends", () => {
    expect([step(0, 1, 3), step(2, 1, 3), step(0, -1, 3), step(0, 1, 0)]).toEqual([1, 0, 2, 0]);
  });
});
