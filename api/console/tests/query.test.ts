import { describe, expect, it } from "vitest";
import { type Filters, format, fromUrl, isEmpty, isIdPart, isRelative, isTaskId, parse, toApi, without } from "../src/lib/query";

describe("parse", () => {
  it.each<[string, Filters]>([
    ["", {}],
    ["   ", {}],
    ["status:running workspace:shop", { status: ["running"], workspace: ["shop"] }],
    ["STATUS:running status:queued status:running", { status: ["running", "queued"] }],
    ["workspace:shop workspace:web", { workspace: ["web"] }],
    ["label:team:web label:a:b", { label: ["team:web", "a:b"] }],
    ['label:"what:two words" nightly report', { label: ["what:two words"], q: ["nightly report"] }],
    ["colour:red", { q: ["colour:red"] }],
    ["status:", {}],
    ["4cbdec34", { id: ["4cbdec34"] }],
    ["4CBDEC34-00ab", { id: ["4cbdec34-00ab"] }],
    ["decade", { q: ["decade"] }],
    ["http://x.example", { q: ["http://x.example"] }],
    ['"open end', { q: ["open end"] }],
  ])("%s", (text, filters) => {
    expect(parse(text)).toEqual(filters);
  });
});

it("takes back what it has written", () => {
  const filters: Filters = { status: ["failed", "canceled"], label: ["what:two words"], runner: ["host-3"], q: ["nightly"] };
  expect(parse(format(filters))).toEqual(filters);
});

it("reads a URL, and no parameter that is not one of its own", () => {
  const query = new URLSearchParams("status=failed&status=running&workspace=&pool=a&pool=b&at=7&q=x");
  expect(fromUrl(query)).toEqual({ status: ["failed", "running"], pool: ["b"], q: ["x"] });
});

it("speaks the API's parameters", () => {
  expect(toApi(parse("exit:3 status:failed lock:held nightly"), 0)).toEqual({
    exit_code: "3",
    status: ["failed"],
    lock: "held",
    q: "nightly",
  });
});

it("knows which searches find another thing at another time", () => {
  const relative = (text: string) => isRelative(parse(text));
  expect(["created:<2h", "ended:>1d", "created:2026-01-01 ended:5m"].map(relative)).toEqual([true, true, true]);
  expect(["created:>2026-01-31", "created:soon", "status:failed 2h"].map(relative)).toEqual([false, false, false]);
});

it("takes one filter away", () => {
  const filters: Filters = { status: ["failed", "running"], q: ["x"] };
  const rest = without(filters, "status", "failed");
  expect(rest).toEqual({ status: ["running"], q: ["x"] });
  expect(isEmpty(without(without(rest, "status", "running"), "q", "x"))).toBe(true);
});

it.each([
  ["created:<2h", { created_after: "2026-01-31T10:00:00.000Z" }],
  ["created:>30m created:<1d", { created_before: "2026-01-31T11:30:00.000Z", created_after: "2026-01-30T12:00:00.000Z" }],
  ["ended:5m", { finished_after: "2026-01-31T11:55:00.000Z" }],
  ["created:>2026-01-30", { created_after: "2026-01-31T00:00:00.000Z" }],
  ["created:2026-01-30", { created_after: "2026-01-30T00:00:00.000Z", created_before: "2026-01-31T00:00:00.000Z" }],
  ["ended:<2026-01-30T10:00:00Z", { finished_before: "2026-01-30T10:00:00.000Z" }],
  ["ended:>2026-01-30T10:00", { finished_after: "2026-01-30T10:00:00.000Z" }],
  ["ended:>2026-01-30t10:00:00.5+02:00", { finished_after: "2026-01-30T08:00:00.500Z" }],
  ["created:yesterday", { created_after: "yesterday" }],
  ["created:>day-1", { created_after: ">day-1" }],
  ["attempts:>2", { min_attempt: "3" }],
  ["attempts:3", { min_attempt: "3" }],
])("reckons with times: %s", (text, query) => {
  expect(toApi(parse(text), Date.parse("2026-01-31T12:00:00Z"))).toEqual(query);
});

it("knows ids, and what may be a part of one", () => {
  const id = "01990000-0000-7000-8000-00000000000a";
  expect([id, id.toUpperCase(), id.slice(1), "abc"].map(isTaskId)).toEqual([true, true, false, false]);
  expect([id, "000A", "00a", "nope", ""].map(isIdPart)).toEqual([true, true, false, false, false]);
});
