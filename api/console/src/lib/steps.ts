// What the time machine asks the log: the event before or after a moment that changes what a page shows, and the marks.
// A viewer, who may not read the log, has the steps of attempts and claims, which are in what viewers see anyway.
import { get } from "./api";
import { type Range, nearest, seqsIn } from "./axis";
import { type Marks, kindOf } from "./marks";
import { match } from "./router";
import { roleMissing } from "./session";

export interface Subject {
  /** In a sentence: "the next event of …". */
  words: string;
  /** Filters of `GET /events`. */
  events: Record<string, string | readonly string[]>;
  /** The sequences that a viewer knows, if there is a way. */
  known: ((signal: AbortSignal) => Promise<number[]>) | null;
}

const MOST_PAGES = 10;
const MOST_CLAIMS = 200;

/** What the page at `path` shows. */
export function subjectOf(path: string): Subject {
  const task = match("/tasks/:id", path)?.["id"];
  if (task !== undefined) return { words: "this task", events: { task_id: task }, known: (signal) => attemptsOf(task, signal) };
  const workspace = match("/locks/:workspace", path)?.["workspace"];
  if (workspace !== undefined) return { words: "this workspace", events: { workspace }, known: (signal) => claimsOf(workspace, signal) };
  const known = null;
  if (match("/locks", path)) return { words: "a lock", events: { event: ["dispatched", "granted", "refused", "released"] }, known };
  if (match("/workspaces", path)) return { words: "a workspace", events: { event: ["registered", "removed"] }, known };
  return { words: "the log", events: {}, known };
}

async function attemptsOf(task_id: string, signal: AbortSignal): Promise<number[]> {
  const page = await get("/tasks/{task_id}/attempts", { path: { task_id }, query: { limit: MOST_CLAIMS }, signal });
  return seqsIn(page.items);
}

async function claimsOf(workspace: string, signal: AbortSignal): Promise<number[]> {
  const page = await get("/workspaces/{workspace}/locks/history", { path: { workspace }, query: { limit: MOST_CLAIMS }, signal });
  return seqsIn(page.items);
}

/** Whether a step of the subject can be found with this role. */
export function canStep(subject: Subject): boolean {
  return everyEvent(subject) || subject.known !== null || roleMissing("GET /events") === null;
}

function everyEvent({ events }: Subject): boolean {
  return Object.keys(events).length === 0;
}

/** The sequence of the nearest event of `subject` after `seq`, or before it; null if there is none (or none near). */
export async function neighbour(subject: Subject, seq: number, forwards: boolean, signal: AbortSignal): Promise<number | null> {
  if (everyEvent(subject)) return seq + (forwards ? 1 : -1);
  if (roleMissing("GET /events") !== null) return nearest((await subject.known?.(signal)) ?? [], seq, forwards);
  const begin = forwards ? { after_seq: seq } : { before_seq: seq };
  let cursor: string | null | undefined;
  for (let pages = 0; pages < MOST_PAGES; pages += 1) {
    const page = await get("/events", { query: { ...subject.events, ...begin, limit: 1, cursor }, signal });
    const [event] = page.items;
    if (event !== undefined) return event.seq;
    cursor = page.next_cursor;
    if (cursor == null) return null;
  }
  return null;
}

const MARKED = ["failed", "submit-failed", "refused", "lock-release-requested"] as const;
const MOST_MARKS = 100;

/** The newest marks of a part of the log: at most so many, whatever its length. */
export async function loadMarks({ from, to }: Range, signal: AbortSignal): Promise<Marks> {
  const query = { event: MARKED, after_seq: from - 1, before_seq: to + 1, limit: MOST_MARKS };
  const page = await get("/events", { query, signal });
  const marks = page.items.map((event) => ({ seq: event.seq, kind: kindOf(event) })).reverse();
  return { marks, before: page.next_cursor == null ? null : (marks[0]?.seq ?? to) };
}
