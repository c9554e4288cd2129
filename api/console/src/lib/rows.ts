// Rows of a list that is loaded again and again: known ones change in their place, new ones are kept back.
import type { Row } from "./api";

export interface Page {
  items: Row[];
  next_cursor?: string | null;
}

export interface Listed {
  rows: readonly Row[];
  /** Not shown yet: newer than the first row, or found by the search only since it was shown. Newest first. */
  fresh: readonly Row[];
  /** Whether there may be more between `fresh` and `rows` than one page holds. */
  gap: boolean;
  /** Where older rows go on. */
  cursor: string | null;
  /** The newest page, for `newest` where there is a gap. */
  page: Page;
}

export function begin(page: Page): Listed {
  return { rows: page.items, fresh: [], gap: false, cursor: page.next_cursor ?? null, page };
}

/** With rows that were loaded again, in their places. The newer `seq` of a row wins. */
export function updated(listed: Listed, items: readonly Row[]): Listed {
  const found = new Map(items.map((task) => [task.id, task]));
  const rows = listed.rows.map((row) => {
    const now = found.get(row.id);
    return now !== undefined && now.seq >= row.seq ? now : row;
  });
  return { ...listed, rows };
}

/** After the first page of the oldest was loaded again: what is new comes at the end. */
export function refreshedOldest(listed: Listed, page: Page): Listed {
  const now = updated(listed, page.items);
  return now.cursor === null ? extended(now, page) : now;
}

/** After the newest page was loaded again. */
export function refreshed(listed: Listed, page: Page): Listed {
  const { rows } = updated(listed, page.items);
  const known = new Set(rows.map((row) => row.id));
  const last = rows.at(-1);
  // what comes behind the last row while there are further pages is on one of those
  const here = (task: Row) => listed.cursor === null || last === undefined || newestFirst(task, last) < 0;
  const fresh = page.items.filter((task) => !known.has(task.id) && here(task));
  const gap = fresh.length > 0 && fresh.length === page.items.length && page.next_cursor != null;
  if (rows.length === 0) return begin(page);
  return { ...listed, rows, fresh, gap, page };
}

/** With the new rows shown; after a gap the list begins anew. */
export function newest(listed: Listed): Listed {
  if (listed.gap) return begin(listed.page);
  return { ...listed, rows: [...listed.fresh, ...listed.rows].toSorted(newestFirst), fresh: [] };
}

/** With the next page of older rows. */
export function extended(listed: Listed, page: Page): Listed {
  const known = new Set(listed.rows.map((row) => row.id));
  const more = page.items.filter((task) => !known.has(task.id));
  return { ...listed, rows: [...listed.rows, ...more], cursor: page.next_cursor ?? null };
}

/** The API's order. */
function newestFirst(one: Row, other: Row): number {
  if (one.created_at !== other.created_at) return one.created_at < other.created_at ? 1 : -1;
  return one.id < other.id ? 1 : -1;
}
