import { describe, expect, it } from "vitest";
import { type Filters, format, fromUrl, isEmpty, parse, toApi, without } from "../src/lib/query";

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
  expect(toApi(parse("exit:3 status:failed lock:held nightly"))).toEqual({
    exit_code: "3",
    status: ["failed"],
    lock: "held",
    q: "nightly",
  });
});

it("takes one filter away", () => {
  const filters: Filters = { status: ["failed", "running"], q: ["x"] };
  const rest = without(filters, "status", "failed");
  expect(rest).toEqual({ status: ["running"], q: ["x"] });
  expect(isEmpty(without(without(rest, "status", "running"), "q", "x"))).toBe(true);
});
