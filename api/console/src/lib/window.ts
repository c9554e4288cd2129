// Which rows of a long list are drawn: those in sight and some around them.

export interface Drawn {
  first: number;
  /** Behind the last one. */
  end: number;
}

const AROUND = 12;
/** A list that is no longer is drawn whole. */
const SHORT = 120;

export function drawn(rows: number, rowHeight: number, top: number, height: number, short = SHORT): Drawn {
  if (rows <= short) return { first: 0, end: rows };
  const first = Math.max(0, Math.min(Math.floor(top / rowHeight), rows) - AROUND);
  return { first, end: Math.min(rows, Math.ceil((top + height) / rowHeight) + AROUND) };
}
