import { expect, it } from "vitest";
import { parseWhen } from "../src/lib/when";

const NOW = new Date("2026-11-30T08:00:00Z");
const time = (text: string) => {
  const found = parseWhen(text, NOW);
  return found?.kind === "time" ? found.at.toISOString() : found;
};

it.each([
  ["1200", 1200],
  [" #44 111 ", 44111],
  ["45\u202f311", 45311],
  ["1,200", 1200],
])("takes %j for a sequence", (text, seq) => {
  expect(parseWhen(text, NOW)).toEqual({ kind: "seq", seq });
});

it.each([
  ["10m ago", "2026-11-30T07:50:00.000Z"],
  ["-90s", "2026-11-30T07:58:30.000Z"],
  ["1h 30m ago", "2026-11-30T06:30:00.000Z"],
  ["2 days ago", "2026-11-28T08:00:00.000Z"],
  ["5 minutes ago", "2026-11-30T07:55:00.000Z"],
  ["0.5h ago", "2026-11-30T07:30:00.000Z"],
  ["07:59:58", "2026-11-30T07:59:58.999Z"],
  ["7:59", "2026-11-30T07:59:00.999Z"],
  ["12:00:03Z", "2026-11-29T12:00:03.999Z"],
  ["12:00:03.25", "2026-11-29T12:00:03.250Z"],
  ["29 Nov 12:00:03", "2026-11-29T12:00:03.999Z"],
  ["29 Nov 12:00:03Z", "2026-11-29T12:00:03.999Z"],
  ["2 Dec 09:00", "2025-12-02T09:00:00.999Z"],
  ["2 december 2024 9:00", "2024-12-02T09:00:00.999Z"],
  ["2026-11-29", "2026-11-29T00:00:00.000Z"],
  ["2026-11-29 12:00", "2026-11-29T12:00:00.999Z"],
  ["2026-11-29T12:00:03Z", "2026-11-29T12:00:03.999Z"],
  ["2026-11-29T12:00:03.123456+02:00", "2026-11-29T10:00:03.123Z"],
])("takes %j for %s", (text, at) => {
  expect(time(text)).toBe(at);
});

it("knows the present, and what names no moment", () => {
  expect(parseWhen("now", NOW)).toEqual({ kind: "now" });
  for (const text of ["", "soon", "10m", "25:00", "31 Foo 12:00", "30 Feb 2024", "2026-13-01", "99999999999999999999", "10x ago", "12:61"])
    expect(parseWhen(text, NOW)).toBeNull();
});
