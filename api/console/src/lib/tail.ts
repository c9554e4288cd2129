// The end of the log as a page holds it: lines that are shown, and lines that came while the page was paused. All are in
// the log's order. What does not fit is counted and read from the log later, so there is never a gap.
import type { Line } from "./log_lines";

export const MOST_FOLLOWED = 5000;
export const MOST_HELD = 5000;
/** While a person reads backwards. */
export const MOST_READ = 10_000;
export const STEP = 500;

export interface Tail {
  /** Shown, without a gap. */
  rows: readonly Line[];
  /** Came while paused, directly behind `rows`. */
  held: readonly Line[];
  /** How many came behind `held` and were not kept. */
  skipped: number;
  /** The sequence of the last line that came. */
  heard: number;
  older: Older;
}

/** Where older lines go on. */
export interface Older {
  /** Of the page before; null: before the first row. */
  cursor: string | null;
  /** There are none. */
  done: boolean;
}

/** A page of the log, newest first, as the API has it. */
export interface LinePage {
  lines: readonly Line[];
  cursor: string | null;
}

export function begin(page: LinePage, heard: number): Tail {
  const rows = [...page.lines].reverse();
  return { rows, held: [], skipped: 0, heard: Math.max(heard, lastSeq(rows)), older: olderOf(page.cursor) };
}

/** After `lines` came from the stream. One that came before is left out. */
export function arrived(tail: Tail, lines: readonly Line[], following: boolean): Tail {
  const fresh = lines.filter((line, index) => line.seq > tail.heard && line.seq > (lines[index - 1]?.seq ?? 0));
  const heard = fresh.at(-1)?.seq;
  if (heard === undefined) return tail;
  if (following && news(tail) === 0) return { ...appended(tail, fresh), heard };
  const room = tail.skipped > 0 ? 0 : MOST_HELD - tail.held.length;
  const held = room > 0 ? [...tail.held, ...fresh.slice(0, room)] : tail.held;
  return { ...tail, held, skipped: tail.skipped + Math.max(0, fresh.length - room), heard };
}

/** How many came and are not shown. */
export function news(tail: Tail): number {
  return tail.held.length + tail.skipped;
}

/** With all shown that came; null if some of it has to be read from the log. */
export function followed(tail: Tail): Tail | null {
  if (tail.skipped > 0) return null;
  return { ...appended(tail, tail.held), held: [] };
}

/** With the next lines that came: a person reads on. */
export function readOn(tail: Tail): Tail {
  return { ...appended(tail, tail.held.slice(0, STEP)), held: tail.held.slice(STEP) };
}

/** After a page of the log behind the row `last` was read, where nothing is held. */
export function readLater(tail: Tail, last: number, lines: readonly Line[]): Tail {
  if (lastSeq(tail.rows) !== last) return tail;
  const more = lines.filter((line) => line.seq > lastSeq(tail.rows));
  const read = appended(tail, more);
  const whole = lastSeq(read.rows) >= tail.heard;
  return { ...read, heard: Math.max(tail.heard, lastSeq(read.rows)), skipped: whole ? 0 : Math.max(1, tail.skipped - more.length) };
}

/** After the page of older lines at `asked` was read. Where other rows have come to stand there meanwhile, it is not theirs. */
export function readBack(tail: Tail, asked: Older, page: LinePage): Tail {
  if (tail.older !== asked) return tail;
  const first = tail.rows[0]?.seq ?? Number.POSITIVE_INFINITY;
  const more = [...page.lines].reverse().filter((line) => line.seq < first);
  const rows = [...more, ...tail.rows];
  const older = olderOf(page.cursor);
  if (rows.length <= MOST_READ) return { ...tail, rows, older };
  const left = rows.length - MOST_READ;
  return { ...tail, rows: rows.slice(0, MOST_READ), held: [], skipped: news(tail) + left, older };
}

function appended(tail: Tail, lines: readonly Line[]): Tail {
  const rows = [...tail.rows, ...lines];
  if (rows.length <= MOST_FOLLOWED) return { ...tail, rows };
  // a cursor would go on before lines that are no longer there
  return { ...tail, rows: rows.slice(-MOST_FOLLOWED), older: { cursor: null, done: false } };
}

function olderOf(cursor: string | null): Older {
  return { cursor, done: cursor === null };
}

function lastSeq(rows: readonly Line[]): number {
  return rows.at(-1)?.seq ?? 0;
}
