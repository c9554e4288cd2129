import { describe, expect, it } from "vitest";
import { shown, terminal, visible } from "../src/lib/safe_text";

const ESC = "\u001b";

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

describe("terminal", () => {
  it("turns colours into styles", () => {
    expect(terminal(`${ESC}[1;31mFAILED${ESC}[0m ok ${ESC}[92mgreen${ESC}[39m${ESC}[2mdim`)).toEqual([
      { text: "FAILED", style: "ansi-1 ansi-bold" },
      { text: " ok ", style: "" },
      { text: "green", style: "ansi-2" },
      { text: "dim", style: "ansi-dim" },
    ]);
  });

  it("leaves out what moves the cursor, sets titles or hides text on its own ground", () => {
    expect(terminal(`a${ESC}[2J${ESC}[10;4Hb${ESC}]0;title\u0007c${ESC}]8;;http://x.example${ESC}\\d${ESC}[30;40me`)).toEqual([
      { text: "a", style: "" },
      { text: "b", style: "" },
      { text: "c", style: "" },
      { text: "d", style: "" },
      { text: "e", style: "ansi-0" },
    ]);
  });

  it("reads colours of 256 and of 24 bits as nothing more", () => {
    expect(terminal(`${ESC}[38;5;196ma${ESC}[38;2;1;2;3mb${ESC}[48;5;1;1mc`).map((one) => one.style)).toEqual(["", "", "ansi-bold"]);
  });

  it("shows broken sequences as what they are", () => {
    expect(terminal(`x${ESC}[31`)).toEqual([{ text: "x␛[31", style: "" }]);
    expect(terminal("<img src=x onerror=alert(1)>")).toEqual([{ text: "<img src=x onerror=alert(1)>", style: "" }]);
  });

  it("stays fast on what is made to be slow", () => {
    const text = `${ESC}]`.repeat(4000) + `${ESC}[`.repeat(4000) + "[".repeat(100_000);
    const began = performance.now();
    terminal(text);
    expect(performance.now() - began).toBeLessThan(5000);
  });
});
