import { describe, expect, it } from "vitest";
import { elements, indented, members } from "../src/lib/json_text";
import { changes, trail } from "../src/lib/trail";

describe("JSON as text", () => {
  it("keeps numbers that no double holds", () => {
    const found = members('{"big": 123456789012345678901234567890, "small": 1.0, "e": 1E400}');
    expect([...found]).toEqual([["big", "123456789012345678901234567890"], ["small", "1.0"], ["e", "1E400"]]);
  });

  it("is not misled by what strings contain", () => {
    const text = String.raw`{"a\"b": "}],{\\", "c":[1,{"d":"x,y"}] , "e":{}}`;
    expect([...members(text)]).toEqual([['a"b', String.raw`"}],{\\"`], ["c", '[1,{"d":"x,y"}]'], ["e", "{}"]]);
    expect(elements(members(text).get("c") ?? "")).toEqual(["1", '{"d":"x,y"}']);
    expect([elements("[]"), [...members("{}")]]).toEqual([[], []]);
  });

  it("refuses what it is not", () => {
    expect(() => members("[1]")).toThrow(SyntaxError);
    expect(() => elements("<html>")).toThrow(SyntaxError);
  });

  it("is indented as JSON.stringify would, number for number", () => {
    const value = { a: [1, { b: "x: {y}, \\ \" z" }, []], c: {}, d: null, e: -1.5e-7 };
    expect(indented(JSON.stringify(value))).toBe(JSON.stringify(value, null, 2));
    expect(indented('{"n":900719925474099312345}')).toBe('{\n  "n": 900719925474099312345\n}');
  });

  it("takes long strings", () => {
    const long = JSON.stringify({ tail: '\\"'.repeat(200_000) });
    expect(members(long).get("tail")).toHaveLength(long.length - '{"tail":}'.length);
  });
});

it("tells what an event brought", () => {
  const known = new Map([["pool", '"default"'], ["attempt", "1"]]);
  const found = changes(known, new Map([["attempt", "2"], ["pool", '"default"'], ["reason", '"exit"']]));
  expect(found).toEqual([
    { name: "attempt", before: "1", after: "2", news: true },
    { name: "pool", before: '"default"', after: '"default"', news: false },
    { name: "reason", before: null, after: '"exit"', news: true },
  ]);
  expect(known.get("attempt")).toBe("2");
});

it("reads pages of a trail", () => {
  const event = (seq: number, data: string) =>
    `{"seq":${seq},"event":"dispatched","attempt":1,"time":"2026-01-01T00:00:00Z","actor":"operator:a","data":${data}}`;
  const { events, cursor } = trail([
    `{"items":[${event(1, '{"n":12345678901234567890,"pool":"gpu"}')}],"next_cursor":"x"}`,
    `{"items":[${event(2, '{"n":12345678901234567891}')}],"next_cursor":null}`,
  ]);
  expect(events.map((one) => one.changes)).toEqual([
    [
      { name: "n", before: null, after: "12345678901234567890", news: true },
      { name: "pool", before: null, after: '"gpu"', news: true },
    ],
    [{ name: "n", before: "12345678901234567890", after: "12345678901234567891", news: true }],
  ]);
  expect(events[0]?.words).toBe("pool gpu");
  expect([events[0]?.raw, cursor]).toEqual([event(1, '{"n":12345678901234567890,"pool":"gpu"}'), null]);
});
