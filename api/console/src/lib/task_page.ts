// What the page of one task shows, in as few requests as it takes.
import { type Schemas, type Task, get, sawSeq } from "./api";
import type { Holder, Waiter } from "./locks";
import { type Attempt, asOf } from "./timeline";
import { loadTitles } from "./titles";

export interface TaskSeen {
  task: Task;
  /** What it waits for, or what ended it. */
  why: Schemas["Why"];
  attempts: readonly Attempt[];
  holder: Holder | null;
  waiter: Waiter | null;
}

export const MOST_NAMED = 20;
const MOST_PAGES = 4;

/** The task, now or at another time. */
export async function loadTask(id: string, then: string | null, signal: AbortSignal): Promise<TaskSeen> {
  const ask = { path: { task_id: id }, query: { at: then }, signal };
  const [task, why, attempts] = await Promise.all([
    get("/tasks/{task_id}", ask),
    get("/tasks/{task_id}/why", ask),
    loadAttempts(id, signal),
  ]);
  if (then === null) sawSeq(task.seq);
  const near = why.blocked_by.slice(0, MOST_NAMED).filter((one) => one.title === null);
  const [titles, claim] = await Promise.all([loadTitles(near.map((one) => one.task_id), signal), loadClaim(task, then, signal)]);
  const blocked_by = why.blocked_by.map((one) => ({ ...one, title: one.title ?? (titles.get(one.task_id) || null) }));
  return { task, why: { ...why, blocked_by }, attempts: then === null ? attempts : asOf(attempts, then), ...claim };
}

async function loadAttempts(id: string, signal: AbortSignal): Promise<Attempt[]> {
  const found: Attempt[] = [];
  let cursor: string | null | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const next = await get("/tasks/{task_id}/attempts", { path: { task_id: id }, query: { limit: 500, cursor }, signal });
    found.push(...next.items);
    cursor = next.next_cursor;
    if (cursor == null) break;
  }
  return found;
}

async function loadClaim(task: Task, then: string | null, signal: AbortSignal): Promise<Pick<TaskSeen, "holder" | "waiter">> {
  const none = { holder: null, waiter: null };
  if (task.workspace === null || (task.lock.state !== "held" && task.lock.state !== "waiting")) return none;
  const path = { workspace: task.workspace };
  try {
    const entry = await get("/workspaces/{workspace}/locks", { path, query: { at: then }, signal });
    const mine = (one: { task_id: string; attempt: number }) => one.task_id === task.id && one.attempt === task.attempt;
    return { holder: entry.holders.find(mine) ?? null, waiter: entry.waiters.find(mine) ?? null };
  } catch (error) {
    signal.throwIfAborted();
    return none; // the rest of the page does not depend on it
  }
}
