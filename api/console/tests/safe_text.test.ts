import { describe, expect, it } from "vitest";
import { shown, visible } from "../src/lib/safe_text";

describe("visible", () => {
  it.each([
    ["\u0000\u0007\u001b", "␀␇␛"],
    ["\u007f\u009b", "␡⟨U+009B⟩"],
    ["exe.\u202egnp", "exe.⟨U+202E⟩gnp"],
    ["a\u2066b\u2069\u200bc\ufeff", "a⟨U+2066⟩b⟨U+2069⟩⟨U+200B⟩c⟨U+FEFF⟩"],
    ["a\u00ad\u034f\u180e\u3164\u2028b", "a⟨U+00AD⟩⟨U+034F⟩⟨U+180E⟩⟨U+3164⟩⟨U+2028⟩b"],
    ["ok\u{e0072}\u{e006d}\ufe01\u{e0100}", "ok⟨U+E0072⟩⟨U+E006D⟩⟨U+FE01⟩⟨U+E0100⟩"],
    ["a\tb\nc", "a\tb\nc"],
    ["❤\ufe0f", "❤\ufe0f"],
    ["grün 完 🚀 مرحبا", "grün 完 🚀 مرحبا"],
  ])("%j", (text, safe) => {
    expect(visible(text)).toBe(safe);
  });
});

it("keeps what is one line on one line", () => {
  expect(shown("a\r\nb\tc")).toBe("a  b c");
});
