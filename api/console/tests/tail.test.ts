import { expect, it } from "vitest";
import type { Line } from "../src/lib/log_lines";
import {
  MOST_FOLLOWED,
  MOST_HELD,
  MOST_READ,
  STEP,
  type Tail,
  arrived,
  begin,
  followed,
  news,
  readBack,
  readLater,
  readOn,
} from "../src/lib/tail";

function line(seq: number): Line {
  return { seq, id: `e${seq}`, kind: "task", event: "created", at: "", actor: "", taskId: null, workspace: null, attempt: null, words: "" };
}

/** The lines from one sequence to another, both included. */
function lines(first: number, last: number): Line[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => line(first + index));
}

function page(first: number, last: number, cursor: string | null = "c") {
  return { lines: lines(first, last).reverse(), cursor };
}

function seqs(rows: readonly Line[]): number[] {
  return rows.map((row) => row.seq);
}

/** Every sequence once, from the first row to the last. */
function whole(tail: Tail): void {
  const all = seqs(tail.rows);
  expect(all).toEqual(seqs(lines(all[0] ?? 1, all.at(-1) ?? 0)));
}

it("begins with the newest page, in the log's order", () => {
  const tail = begin(page(11, 20), 20);
  expect(seqs(tail.rows)).toEqual(seqs(lines(11, 20)));
  expect(tail.older).toEqual({ cursor: "c", done: false });
  expect(begin(page(1, 3, null), 3).older.done).toBe(true);
});

it("shows what comes while it follows, each once", () => {
  let tail = arrived(begin(page(1, 3), 3), lines(3, 5), true);
  tail = arrived(tail, [line(4), line(5), line(6), line(6)], true);
  expect(seqs(tail.rows)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(news(tail)).toBe(0);
});

it("follows with a bounded number of rows; what is left out is read again", () => {
  const tail = arrived(begin(page(1, 10, null), 10), lines(11, MOST_FOLLOWED + 20), true);
  expect(tail.rows.length).toBe(MOST_FOLLOWED);
  expect(tail.rows[0]?.seq).toBe(21);
  expect(tail.older).toEqual({ cursor: null, done: false });
  const read = readBack(tail, tail.older, page(1, 20, null));
  whole(read);
  expect(read.rows[0]?.seq).toBe(1);
});

it("counts what comes while it is paused, and shows it afterwards", () => {
  const paused = arrived(begin(page(1, 3), 3), lines(4, 315), false);
  expect(seqs(paused.rows)).toEqual([1, 2, 3]);
  expect(news(paused)).toBe(312);
  const shown = followed(paused);
  expect(shown?.rows.length).toBe(315);
  expect(news(shown as Tail)).toBe(0);
});

it("keeps a bounded number while it is paused, counts the others, and reads them later without a gap", () => {
  let tail = begin(page(1, 3), 3);
  for (let last = 3; last < MOST_HELD + 2003; last += 700) tail = arrived(tail, lines(last + 1, last + 700), false);
  const end = tail.heard;
  expect(news(tail)).toBe(end - 3);
  expect(tail.held.length).toBe(MOST_HELD);
  expect(followed(tail)).toBeNull();
  for (let step = 0; tail.held.length > 0 && step < 100; step += 1) tail = readOn(tail);
  expect(tail.rows.at(-1)?.seq).toBe(MOST_HELD + 3);
  // one that comes while the log is read is counted, and read with the rest
  tail = arrived(tail, [line(end + 1)], false);
  for (let step = 0; tail.skipped > 0 && step < 100; step += 1) {
    const last = tail.rows.at(-1)?.seq ?? 0;
    tail = readLater(tail, last, lines(last + 1, Math.min(last + STEP, end + 1)));
  }
  expect(news(tail)).toBe(0);
  expect(tail.rows.at(-1)?.seq).toBe(end + 1);
  whole(tail);
});

it("never counts less than one where something is still to be read", () => {
  const tail: Tail = { ...begin(page(1, 3), 3), skipped: 2, heard: 9 };
  expect(readLater(tail, 3, [line(5), line(6), line(7)]).skipped).toBe(1);
  expect(readLater(tail, 3, [line(5), line(9)]).skipped).toBe(0);
});

it("reads back in pages, short and empty ones too", () => {
  let tail = begin(page(11, 20), 20);
  tail = readBack(tail, tail.older, { lines: [], cursor: "further" });
  expect(tail.older).toEqual({ cursor: "further", done: false });
  tail = readBack(tail, tail.older, { lines: [line(10), line(9)], cursor: null });
  expect(tail.rows[0]?.seq).toBe(9);
  expect(tail.older.done).toBe(true);
});

it("takes no page for its own that was asked for from rows that are gone", () => {
  const asked = arrived(begin(page(101, 110), 110), lines(111, 120), false);
  const anew = begin(page(901, 910), 910);
  expect(readBack(anew, asked.older, page(81, 100))).toBe(anew);
  expect(readLater(anew, 110, lines(111, 120))).toBe(anew);
  const held = { ...asked, held: lines(111, 101 + MOST_FOLLOWED) };
  const trimmed = followed(held) as Tail;
  expect(trimmed.rows[0]?.seq).toBe(102);
  whole(readBack(trimmed, held.older, page(81, 100)));
});

it("leaves out the newest rows of a long way back, and reads them again on the way forth", () => {
  let tail = arrived(begin(page(30_001, 30_010), 30_010), lines(30_011, 30_015), false);
  while (tail.rows.length < MOST_READ) {
    const first = tail.rows[0]?.seq ?? 0;
    tail = readBack(tail, tail.older, page(first - STEP, first - 1));
  }
  whole(tail);
  expect(tail.held).toEqual([]);
  const last = tail.rows.at(-1)?.seq ?? 0;
  expect(last + news(tail)).toBe(30_015);
  const read = readLater(tail, last, lines(last + 1, 30_015));
  expect(read.rows.at(-1)?.seq).toBe(30_015);
  expect(news(read)).toBe(0);
  whole(read);
});
