// Bulk commands over the API.
import { get, post } from "./api";
import { type Action, BATCH, MOST_TARGETS, type Result, type Target, type Wire, target } from "./bulk";
import { isUnknown } from "./outcome";

const PAGE = 500;

/** All tasks that a search finds, up to MOST_TARGETS; `more`: there are others. */
export async function frozen(
  query: Record<string, string | readonly string[]>,
  told: (found: number) => void,
  abort: AbortSignal,
): Promise<{ targets: Target[]; more: boolean }> {
  const found = new Map<string, Target>();
  let cursor: string | null | undefined;
  do {
    const page = await get("/tasks", { query: { ...query, view: "row", limit: PAGE, cursor }, signal: abort });
    for (const one of page.items) found.set(one.id, target(one));
    cursor = page.next_cursor;
    told(found.size);
  } while (cursor != null && found.size < MOST_TARGETS);
  return { targets: [...found.values()].slice(0, MOST_TARGETS), more: cursor != null || found.size > MOST_TARGETS };
}

/** The tasks as they are now, for another try. */
export async function read(ids: readonly string[], abort?: AbortSignal): Promise<Target[]> {
  const found: Target[] = [];
  for (let from = 0; from < ids.length; from += BATCH) {
    const id = ids.slice(from, from + BATCH);
    const page = await get("/tasks", { query: { id, view: "row", limit: BATCH }, ...(abort ? { signal: abort } : {}) });
    found.push(...page.items.map(target));
  }
  return found;
}

async function sendBatch(action: Action, targets: readonly Target[], reason: string | null): Promise<Map<string, Result>> {
  const items = targets.map(({ id, attempt }) => ({ id, attempt }));
  const answer = await post("/tasks/bulk", {}, { action, items, ...(reason === null ? {} : { reason }) });
  return new Map(answer.items.map((one) => [one.id, { outcome: one.outcome, detail: one.detail ?? one.code ?? null }]));
}

async function lookAgain(targets: readonly Target[]): Promise<Map<string, Result>> {
  let now = new Map<string, Target>();
  try {
    now = new Map((await read(targets.map((one) => one.id))).map((one) => [one.id, one]));
  } catch {
    // the words tell
  }
  const words = (one: Target | undefined) => (one === undefined ? "it cannot be read yet" : `now ${one.status}, attempt ${one.attempt}`);
  return new Map(targets.map((one) => [one.id, { outcome: "unknown", detail: words(now.get(one.id)) }]));
}

export const WIRE: Wire = { send: sendBatch, look: lookAgain, isUnknown };
