// What the stream of changes says, reduced to what is new: each sequence counts once, whatever is sent twice.

/** The data of one message of `GET /changes`. */
export interface Message {
  tasks: readonly { id: string; seq: number }[];
  workspaces: readonly string[];
  reset: boolean;
}

export interface News {
  /** Up to which sequence the changes are named. */
  seq: number;
  /** Anything may have changed. */
  all: boolean;
  /** What is shown counts for nothing, whatever its sequence: too much was missed, or the log is another one. */
  reset: boolean;
  /** Last sequence by task. */
  tasks: ReadonlyMap<string, number>;
  workspaces: ReadonlySet<string>;
}

/** How the stream is. */
export type Link =
  | { state: "connecting" }
  | { state: "open" }
  /** The API has no room for another stream: the position of the log is looked at every few seconds. */
  | { state: "polling" }
  | { state: "away"; againAt: number }
  | { state: "login" };

const NO_TASKS: News["tasks"] = new Map();
const NONE: News["workspaces"] = new Set();

/** That anything may have changed up to `seq`. */
export function anything(seq: number, reset = false): News {
  return { seq, all: true, reset, tasks: NO_TASKS, workspaces: NONE };
}

/** What message `id` adds to what is known up to `known`; null if nothing. The first message only tells the position. */
export function received(known: number | null, id: number, message: Message): News | null {
  if (message.reset) return anything(id, true);
  if (known === null || id <= known) return null;
  const tasks = message.tasks.filter((task) => task.seq > known).map((task) => [task.id, task.seq] as const);
  return { seq: id, all: false, reset: false, tasks: new Map(tasks), workspaces: new Set(message.workspaces) };
}

/** What the position of the log alone tells; a position before the known one is that of another log. */
export function moved(known: number | null, seq: number): News | null {
  if (known === null || seq === known) return null;
  return anything(seq, seq < known);
}

/** Both, as if they had come together. */
export function merged(first: News, then: News): News {
  if (then.reset || (first.all && then.all)) return { ...then, reset: first.reset || then.reset };
  const tasks = new Map(first.tasks);
  for (const [id, seq] of then.tasks) tasks.set(id, Math.max(seq, tasks.get(id) ?? 0));
  return {
    seq: then.seq,
    all: first.all || then.all,
    reset: first.reset,
    tasks,
    workspaces: new Set([...first.workspaces, ...then.workspaces]),
  };
}
