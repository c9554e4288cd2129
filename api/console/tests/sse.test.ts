import { expect, it } from "vitest";
import { SseReader } from "../src/lib/sse";

const STREAM =
  "retry: 1000\nid: 7\n\n: position 7.abc\n\nid: 8\nevent: created\ndata: {\"a\":1}\n\n: heartbeat\nid: 9\n\n";
const WHOLE = [
  { id: "7", data: null, comments: [] },
  { id: null, data: null, comments: ["position 7.abc"] },
  { id: "8", data: '{"a":1}', comments: [] },
  { id: "9", data: null, comments: ["heartbeat"] },
];

it("reads messages, positions and comments", () => {
  expect(new SseReader().push(STREAM)).toEqual(WHOLE);
});

it("reads the same in parts of any size", () => {
  for (let size = 1; size < 12; size += 1) {
    const reader = new SseReader();
    const parts = STREAM.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
    expect(parts.flatMap((part) => reader.push(part))).toEqual(WHOLE);
  }
});

it("joins lines of data, and takes line ends of any kind", () => {
  expect(new SseReader().push("data: a\r\ndata: b\r\n\r\n")).toEqual([{ id: null, data: "a\nb", comments: [] }]);
});

it("keeps back what has no end yet", () => {
  const reader = new SseReader();
  expect(reader.push("id: 1\ndata: x\n")).toEqual([]);
  expect(reader.push("\n")).toEqual([{ id: "1", data: "x", comments: [] }]);
});
