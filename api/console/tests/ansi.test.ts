import { describe, expect, it } from "vitest";
import { terminal } from "../src/lib/ansi";

const ESC = "\u001b";
const pieces = (text: string) => terminal(text).pieces;

describe("terminal", () => {
  it("turns colours into styles", () => {
    expect(pieces(`${ESC}[1;31mFAILED${ESC}[0m ok ${ESC}[92mgreen${ESC}[39m${ESC}[2mdim`)).toEqual([
      { text: "FAILED", style: "ansi-1 ansi-bold" },
      { text: " ok ", style: "" },
      { text: "green", style: "ansi-2" },
      { text: "dim", style: "ansi-dim" },
    ]);
  });

  it("leaves out what moves the cursor, sets titles or hides text on its own ground", () => {
    expect(pieces(`a${ESC}[2J${ESC}[10;4Hb${ESC}]0;title\u0007c${ESC}]8;;http://x.example${ESC}\\d${ESC}[30;40me`)).toEqual([
      { text: "a", style: "" },
      { text: "b", style: "" },
      { text: "c", style: "" },
      { text: "d", style: "" },
      { text: "e", style: "ansi-0" },
    ]);
  });

  it("leaves out what chooses a character set, saves the cursor, or is for another device", () => {
    const text = `a${ESC}(B${ESC}[mb${ESC}7${ESC}8${ESC}=${ESC}>${ESC}#8c${ESC}Pq#0~~${ESC}\\d${ESC}_hidden${ESC}\\e`;
    expect(pieces(text).map((one) => one.text).join("")).toBe("abcde");
  });

  it("reads colours of 256 and of 24 bits as nothing more", () => {
    expect(pieces(`${ESC}[38;5;196ma${ESC}[38;2;1;2;3mb${ESC}[48;5;1;1mc`).map((one) => one.style)).toEqual(["", "", "ansi-bold"]);
  });

  it("gives each state of a progress bar a line of its own", () => {
    expect(pieces("begin\r\n10%\r50%\r\n")).toEqual([{ text: "begin\n10%␍\n50%\n", style: "" }]);
  });

  it("shows broken sequences as what they are", () => {
    expect(pieces(`x${ESC}[31`)).toEqual([{ text: "x␛[31", style: "" }]);
    expect(pieces("<img src=x onerror=alert(1)>")).toEqual([{ text: "<img src=x onerror=alert(1)>", style: "" }]);
  });

  it("stays fast on what is made to be slow", () => {
    const text = `${ESC}]`.repeat(4000) + `${ESC}[`.repeat(4000) + "[".repeat(100_000) + `${ESC}P`.repeat(4000) + `${ESC} `.repeat(4000) + " ".repeat(100_000);
    const began = performance.now();
    pieces(text);
    expect(performance.now() - began).toBeLessThan(5000);
  });

  it("goes on in the style in which the text before ended", () => {
    const { end } = terminal(`${ESC}[1;31mFAILED`);
    expect(terminal("still", end).pieces).toEqual([{ text: "still", style: "ansi-1 ansi-bold" }]);
    expect(terminal(`${ESC}[0mno more`, end).end.classes()).toBe("");
  });

  it("knows the first 16 of 256 colours", () => {
    expect(pieces(`${ESC}[38;5;1ma${ESC}[38;5;10;1mb`).map((one) => one.style)).toEqual(["ansi-1", "ansi-2 ansi-bold"]);
  });
});
