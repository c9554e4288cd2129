import { describe, expect, it } from "vitest";
import { type Block, type Limits, appended, back, bounded, endOf, lineStart, on, prepended, textOf } from "../src/lib/output_blocks";

const bytes = (text: string) => new TextEncoder().encode(text);
const LIMITS: Limits = { blockBytes: 12, bytes: 40, lines: 100, pieces: 100 };
const ranges = (blocks: readonly Block[]) => blocks.map((one) => [one.from, one.to]);
const ESC = "\u001b";

it("cuts at the ends of lines", () => {
  const blocks = appended([], 100, bytes("one\ntwo\nthree\nfour\n"), LIMITS);
  expect(blocks.map((one) => textOf([one]))).toEqual(["one\ntwo\n", "three\nfour\n"]);
  expect(ranges(blocks)).toEqual([[100, 108], [108, 119]]);
});

it("shows what comes in pieces as if it had come at once", () => {
  const whole = bytes(`${ESC}[31mrot grün 完 🚀${ESC}[0m\nnext`);
  for (let at = 1; at < whole.length; at += 1) {
    const once = appended(appended([], 0, whole.slice(0, at)), at, whole.slice(at));
    expect(textOf(once)).toBe("rot grün 完 🚀\nnext");
    expect(once.flatMap((one) => one.pieces).map((one) => one.style)).toContain("ansi-1");
  }
});

it("leaves blocks alone that have not changed", () => {
  const first = appended([], 0, bytes("one\ntwo\nthree\nfour\n"), LIMITS);
  const more = appended(first, 19, bytes("five\n"), LIMITS);
  expect(more[0]).toBe(first[0]);
  expect(textOf(more)).toBe("one\ntwo\nthree\nfour\nfive\n");
});

it("begins anew behind a gap", () => {
  const blocks = appended(appended([], 0, bytes("old\n")), 1000, bytes("new\n"));
  expect([textOf(blocks), blocks[0]?.from]).toEqual(["new\n", 1000]);
});

it("lets a colour go on into what was shown before", () => {
  const shown = appended([], 8, bytes("red\n"));
  const blocks = prepended(shown, 0, bytes(`${ESC}[31mab\n`));
  expect(blocks.flatMap((one) => one.pieces.map((piece) => piece.style))).toEqual(["ansi-1", "ansi-1"]);
  expect(ranges(blocks)).toEqual([[0, 8], [8, 12]]);
});

describe("bounds", () => {
  const blocks = appended([], 0, bytes("0123456789\n".repeat(20)), LIMITS);

  it("hold for bytes, from either end", () => {
    expect(ranges(bounded(blocks, "last", LIMITS))).toEqual([[187, 198], [198, 209], [209, 220]]);
    expect(ranges(bounded(blocks, "first", LIMITS))[0]).toEqual([0, 11]);
  });

  it("hold for lines and for colours", () => {
    const bar = bounded(appended([], 0, bytes("1%\r".repeat(5000))), "last");
    expect(bar.reduce((sum, one) => sum + one.lines, 0)).toBeLessThanOrEqual(4000);
    const empty = bounded(appended([], 0, bytes("\n".repeat(200_000))), "last");
    expect(empty.reduce((sum, one) => sum + one.lines, 0)).toBeLessThanOrEqual(4000);
    const colours = bounded(appended([], 0, bytes(`${ESC}[31mx${ESC}[0my`.repeat(4000))), "last");
    expect(colours.reduce((sum, one) => sum + one.pieces.length, 0)).toBeLessThanOrEqual(1500);
    expect(colours.at(-1)?.to).toBe(11 * 4000);
  });
});

it("leaves half of what was shown when it turns a page", () => {
  const page = bytes("0123456789\n".repeat(10));
  const shown = bounded(appended([], 110, page, LIMITS), "last", LIMITS);
  expect(ranges(shown)).toEqual([[187, 198], [198, 209], [209, 220]]);
  expect(ranges(back(shown, 77, page, LIMITS))).toEqual([[176, 187], [187, 198], [198, 209]]);
  expect(ranges(on(shown, 220, page, LIMITS))).toEqual([[198, 209], [209, 220], [220, 231]]);
});

it("cuts a line without end between two characters", () => {
  const blocks = appended([], 0, bytes("完".repeat(1000)), LIMITS);
  expect(textOf(blocks)).toBe("完".repeat(1000));
});

it.each([
  ["rest\nwhole\n", 5],
  ["no end of a line", 0],
  ["only the end\n", 0],
])("finds the first whole line of %j", (text, start) => {
  expect(lineStart(bytes(text))).toBe(start);
});

it("begins with a whole character where there is no line", () => {
  expect(lineStart(bytes("完a").subarray(1))).toBe(2);
});

describe("the end of an output that the log has", () => {
  it("is marked where its first line lacks its beginning", () => {
    const { bytes: found, cut } = endOf("x".repeat(8190));
    expect([cut, new TextDecoder().decode(found).slice(0, 3)]).toEqual([true, "…xx"]);
    expect(endOf("ü".repeat(4095)).cut).toBe(true);
  });

  it("is whole where it is shorter", () => {
    expect(endOf("one\ntwo\n")).toEqual({ bytes: bytes("one\ntwo\n"), cut: false });
    expect(endOf("x".repeat(8000)).cut).toBe(false);
  });
});
