import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { ago, bytes, clockTime, commandLine, count, duration, plural, shortId } from "../src/lib/format";

it.each([
  [0, "0.0s"],
  [412, "0.4s"],
  [999.9, "1.0s"],
  [1000, "1s"],
  [59_999, "59s"],
  [252_000, "4m 12s"],
  [3_600_000, "1h 00m"],
  [11_220_000, "3h 07m"],
  [187_200_000, "2d 4h"],
  [-5, "0.0s"],
])("%d ms are %s", (milliseconds, text) => {
  expect(duration(milliseconds)).toBe(text);
});

it.each([
  [-3000, "now"],
  [4999, "now"],
  [40_000, "40s ago"],
  [3_599_999, "59m ago"],
  [10_800_000, "3h ago"],
  [172_800_000, "2d ago"],
])("%d ms are %s", (milliseconds, text) => {
  expect(ago(milliseconds)).toBe(text);
});

it("groups digits", () => {
  expect([0, 999, 1000, 45_311, 1_234_567].map(count)).toEqual(["0", "999", "1\u202f000", "45\u202f311", "1\u202f234\u202f567"]);
});

it("says the day of a moment that is not of today", () => {
  const today = new Date("2026-11-29T23:59:00Z");
  expect(clockTime(new Date("2026-11-29T12:00:03.9Z"), today)).toBe("12:00:03");
  expect(clockTime(new Date("2026-11-28T12:00:03Z"), today)).toBe("28 Nov 12:00:03");
});

it("writes sizes, ids and numbers of things", () => {
  expect([0, 1023, 1024, 2 ** 21, 5 * 2 ** 40].map(bytes)).toEqual(["0 B", "1023 B", "1.0 KiB", "2.0 MiB", "5.0 TiB"]);
  expect(shortId("01990000-0000-7000-8000-0000000000ab")).toBe("000000ab");
  expect(shortId("build")).toBe("build");
  expect([plural(1, "task"), plural(2, "task"), plural(0, "reply", "replies")]).toEqual(["1 task", "2 tasks", "0 replies"]);
});

it("writes commands as a shell takes them", () => {
  expect(commandLine(["make", "-j2", "all"])).toBe("make -j2 all");
  expect(commandLine(["sh", "-c", "echo it's $HOME", ""])).toBe(`sh -c 'echo it'\\''s $HOME' ''`);
});

const HOSTILE = [
  "$(touch x) `touch y` \\ ' \" ! * ? ~ # ; & |\n\tend",
  "x\u0003\ntouch z\n\u001b[201~\u007f it's \\u0041",
  "a\u202eb\u200b\u{e0072}'\u009b\r\nend",
  "-n",
  "",
];

it.each(HOSTILE)("writes %j so that bash reads it as it was", (text) => {
  const line = commandLine(["printf", "%s|", text, "end"]);
  expect(execFileSync("bash", ["--norc", "-c", line], { encoding: "utf-8", env: { LC_ALL: "C.UTF-8" } })).toBe(`${text}|end|`);
});

it.each(HOSTILE)("writes %j without a character that a terminal obeys when it is pasted", (text) => {
  expect(commandLine(["echo", text])).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e\u200b\u{e0072}]/u);
});
