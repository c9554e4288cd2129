// What a task is doing, as people see it: five families, and a shape and a word for each state (styles/tokens.css).
import type { Task } from "./api";

export type Family = "idle" | "moving" | "blocked" | "good" | "bad";
export type State = Task["status"] | "waiting" | "asking" | "retrying";

export const FAMILY: Record<State, Family> = {
  created: "idle",
  canceled: "idle",
  dispatched: "moving",
  queued: "moving",
  running: "moving",
  waiting: "blocked",
  asking: "blocked",
  retrying: "blocked",
  succeeded: "good",
  failed: "bad",
  "submit-failed": "bad",
};

export const WORD: Record<State, string> = {
  created: "created",
  canceled: "canceled",
  dispatched: "dispatched",
  queued: "queued",
  running: "running",
  waiting: "waiting for lock",
  asking: "asks",
  retrying: "will try again",
  succeeded: "succeeded",
  failed: "failed",
  "submit-failed": "submit failed",
};

type Seen = Pick<Task, "status" | "next_attempt_at"> & {
  lock: Pick<Task["lock"], "state">;
  question?: unknown;
};

export function stateOf(task: Seen): State {
  if (task.status === "dispatched" && task.lock.state === "waiting") return "waiting";
  if (task.status === "running" && task.question != null) return "asking";
  if (task.next_attempt_at != null) return "retrying";
  return task.status;
}

const ENDED: ReadonlySet<State> = new Set<State>(["succeeded", "failed", "canceled", "submit-failed"]);

/** Whether nothing more happens by itself. */
export function ended(state: State): boolean {
  return ENDED.has(state);
}

const OPEN: ReadonlySet<Task["status"]> = new Set<Task["status"]>(["created", "dispatched", "queued", "running"]);

export function mayCancel(task: Pick<Task, "status" | "next_attempt_at" | "cancel_requested">): boolean {
  return (OPEN.has(task.status) && !task.cancel_requested) || task.next_attempt_at != null;
}

/** Whether the next attempt may begin. */
export function mayDispatch(task: Pick<Task, "status">): boolean {
  return ["created", "failed", "canceled", "submit-failed"].includes(task.status);
}
