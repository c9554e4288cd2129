import { describe, expect, it } from "vitest";
import { heights, placeOf, rateInWords, target } from "../src/lib/overview.ts";

describe("target", () => {
  it.each([
    ["/workspaces/shop/locks", "/locks/shop", ""],
    ["/tasks/0199/why", "/tasks/0199", ""],
    ["/tasks/0199", "/tasks/0199", ""],
    ["/tasks?asking=true", "/tasks", "asking=true"],
    ["/tasks?status=failed&status=submit-failed", "/tasks", "status=failed&status=submit-failed"],
    ["/tasks?status=failed&finished_after=2026-01-31T10:00:00Z", "/tasks", "status=failed&ended=%3E2026-01-31T10%3A00%3A00Z"],
    ["/runners", "/runners", ""],
    ["/tasks?status=failed&finished_after=2026-01-31T10:00:00Z&on_request=false", "/tasks", "status=failed&ended=%3E2026-01-31T10%3A00%3A00Z&on-request=false"],
    ["/notices?state=dead", "/notices", "state=dead"],
    ["/dead", "/evidence", ""],
  ])("%s has a page", (link, page, query) => {
    const found = target(link);
    expect(found !== null && "page" in found && [found.page, found.query.toString()]).toEqual([page, query]);
  });

  it("leads to the API where the console has no page, and nowhere from its own figures", () => {
    expect(target("/metrics")).toEqual({ api: "/metrics" });
    expect(target("/overview")).toBeNull();
  });
});

describe("placeOf", () => {
  it("names paths, how many more there are, and the workspace where that is not said already", () => {
    expect(placeOf(["src"], 0)).toBe("src");
    expect(placeOf(["src", "docs"], 2)).toBe("src, docs and 2 more");
    expect(placeOf([], 0)).toBe("the whole workspace");
    expect(placeOf(["src"], 0, "shop")).toBe("shop:src");
    expect(placeOf([], 0, "shop")).toBe("all of shop");
  });
});

describe("rateInWords", () => {
  it("tells the sum, the most and the last", () => {
    expect(rateInWords([0, 4, 2, 1])).toBe("7 events in the last hour, 1 in this minute; at most 4 in a minute, 2 minutes ago.");
    expect(rateInWords([0, 1])).toBe("1 event in the last hour, 1 in this minute; never more.");
    expect(rateInWords([0, 0])).toBe("No events in the last hour.");
    expect(rateInWords([])).toBe("No events in the last hour.");
  });
});

describe("heights", () => {
  it("keeps what is small visible, and nothing at nothing", () => {
    expect(heights([0, 1, 1000], 40)).toEqual([0, 1, 40]);
    expect(heights([0, 0], 40)).toEqual([0, 0]);
  });
});
