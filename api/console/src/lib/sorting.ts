// Sorting of the rows that are loaded. The API sorts by creation only, so every other order is of these rows.
import type { Row } from "./api";
import { WORD, stateOf } from "./status";

export type SortKey = "status" | "title" | "workspace" | "attempt" | "runner" | "waited" | "ran";
export const SORT_KEYS: readonly SortKey[] = ["status", "title", "workspace", "attempt", "runner", "waited", "ran"];

export interface Sort {
  key: SortKey;
  down: boolean;
}

/** `ran` or `-ran` of the address. */
export function parseSort(text: string | null): Sort | null {
  const down = text?.startsWith("-") ?? false;
  const key = SORT_KEYS.find((one) => one === text?.slice(down ? 1 : 0));
  return key === undefined ? null : { key, down };
}

/** What the next press on a column asks for: up, down, and no order of its own. Durations begin with the longest. */
export function nextSort(now: Sort | null, key: SortKey): string | null {
  const first = key === "waited" || key === "ran" || key === "attempt" ? `-${key}` : key;
  const second = first === key ? `-${key}` : key;
  if (now === null || now.key !== key) return first;
  return (now.down ? `-${key}` : key) === first ? second : null;
}

/** Ids in their order; rows without the value come last either way. */
export function order(rows: readonly Row[], { key, down }: Sort, now: number): string[] {
  const found = rows.map((row) => ({ id: row.id, value: value(row, key, now) }));
  found.sort((one, other) => {
    if (one.value === null || other.value === null) return Number(one.value === null) - Number(other.value === null);
    if (one.value === other.value) return 0;
    return (one.value < other.value ? -1 : 1) * (down ? -1 : 1);
  });
  return found.map((one) => one.id);
}

/** `rows` in the order of `ids`; those that are not among them come last. */
export function inOrder(rows: readonly Row[], ids: readonly string[]): Row[] {
  const places = new Map(ids.map((id, place) => [id, place]));
  const place = (row: Row) => places.get(row.id) ?? ids.length;
  return rows.toSorted((one, other) => place(one) - place(other));
}

function value(row: Row, key: SortKey, now: number): string | number | null {
  if (key === "status") return WORD[stateOf(row)];
  if (key === "title") return row.title.toLowerCase();
  if (key === "workspace") return row.workspace === null ? null : `${row.workspace}:${row.lock_paths.join(" ")}`;
  if (key === "attempt") return row.attempt;
  if (key === "runner") return row.runner_id;
  if (key === "waited") return span(row.dispatched_at, row.started_at ?? row.finished_at, now);
  return span(row.started_at, row.finished_at, now);
}

function span(from: string | null, to: string | null, now: number): number | null {
  return from === null ? null : (to === null ? now : Date.parse(to)) - Date.parse(from);
}
