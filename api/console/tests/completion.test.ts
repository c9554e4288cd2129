import { describe, expect, it } from "vitest";
import { applied, complete } from "../src/lib/completion";

const texts = (text: string, known = {}, caret = text.length) => complete(text, caret, known).options.map((one) => one.text);

describe("complete", () => {
  it("offers qualifiers where a word begins", () => {
    expect(texts("")).toContain("status:");
    expect(texts("w")).toEqual(["workspace:"]);
    expect(texts("status:failed re")).toEqual(["reason:"]);
    expect(texts("no such thing")).toEqual([]);
  });

  it("offers values behind a qualifier, those that begin like it first", () => {
    expect(texts("status:")).toContain("status:running");
    expect(texts("status:ed")).toContain("status:queued");
    expect(texts("lock:h")).toEqual(["lock:held"]);
    expect(texts("LOCK:w")).toEqual(["lock:waiting"]);
    expect(texts("workspace:s", { workspace: ["wash", "shop"] })).toEqual(["workspace:shop", "workspace:wash"]);
    expect(texts("created:>")).toEqual(["created:>2h", "created:>1d"]);
  });

  it("quotes values with blanks, each once", () => {
    expect(texts('label:"te', { label: ["team:web shop", "team:web shop", "tier:1"] })).toEqual(['label:"team:web shop"']);
  });

  it("replaces the word around the caret alone", () => {
    const text = "status:fai label:x";
    const found = complete(text, 10);
    expect([found.from, found.to, found.options.map((one) => one.text)]).toEqual([0, 10, ["status:failed", "status:submit-failed"]]);
    expect(applied(text, found, { text: "status:failed", hint: "" })).toEqual({ text: "status:failed label:x", caret: 14 });
  });

  it("goes on behind a colon, and leaves a space behind a value", () => {
    const name = complete("wor", 3);
    expect(applied("wor", name, { text: "workspace:", hint: "" })).toEqual({ text: "workspace:", caret: 10 });
    const value = complete("lock:h", 6);
    expect(applied("lock:h", value, { text: "lock:held", hint: "" })).toEqual({ text: "lock:held ", caret: 10 });
  });
});
