import { describe, expect, it } from "vitest";
import { shown, visible } from "../src/lib/safe_text";

describe("visible", () => {
  it.each([
    ["\u0000\u0007\u001b", "␀␇␛"],
    ["\u007f\u009b", "␡⟨U+009B⟩"],
    ["exe.\u202egnp", "exe.⟨U+202E⟩gnp"],
    ["a\u2066b\u2069\u200bc\ufeff", "a⟨U+2066⟩b⟨U+2069⟩⟨U+200B⟩c⟨U+FEFF⟩"],
    ["a\tb\nc", "a\tb\nc"],
    ["grün 完 🚀 مرحبا", "grün 完 🚀 مرحبا"],
  ])("%j", (text, safe) => {
    expect(visible(text)).toBe(safe);
  });
});

it("keeps what is one line on one line", () => {
  expect(shown("a\r\nb\tc")).toBe("a  b c");
});
