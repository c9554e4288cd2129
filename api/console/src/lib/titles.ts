// Titles of tasks for pages that know only ids. A title never changes, so each is asked for once.
import { get } from "./api";
import { forgetOldest } from "./bounded";

const BATCH = 100;
const known = new Map<string, string>();

/** Of what a page that stays open for days has named. */
const MOST_KNOWN = 5000;

export type Titles = ReadonlyMap<string, string>;

/** The titles of `ids`, as far as the list of tasks has them by now. */
export async function loadTitles(ids: readonly string[], signal: AbortSignal): Promise<Titles> {
  const missing = ids.filter((id) => !known.has(id));
  for (let from = 0; from < missing.length; from += BATCH) {
    const id = missing.slice(from, from + BATCH);
    const page = await get("/tasks", { query: { id, limit: BATCH, view: "row" }, signal });
    for (const task of page.items) known.set(task.id, task.title);
  }
  const found = new Map(ids.map((id) => [id, known.get(id) ?? ""]));
  forgetOldest(known, MOST_KNOWN);
  return found;
}
