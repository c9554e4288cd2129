// The events of a task from the text of their page, and what each one told that was not known before it.
import { elements, members } from "./json_text";
import { type LogEvent, wordsOf } from "./log_lines";

export interface TrailEvent {
  seq: number;
  event: string;
  attempt: number | null;
  time: string;
  actor: string;
  /** What it tells beyond its name, as in the log. */
  words: string;
  /** The whole event, as the API has sent it. */
  raw: string;
  changes: readonly Change[];
}

export interface Change {
  name: string;
  /** Null where no earlier event had it. */
  before: string | null;
  after: string;
  /** Whether it differs from what was known. */
  news: boolean;
}

/** The events of pages `texts`, in order, and the cursor behind them. */
export function trail(texts: readonly string[]): { events: TrailEvent[]; cursor: string | null } {
  const known = new Map<string, string>();
  let cursor: string | null = null;
  const events = texts.flatMap((text) => {
    const page = members(text);
    cursor = JSON.parse(page.get("next_cursor") ?? "null") as string | null;
    return elements(page.get("items") ?? "[]").map((raw) => read(raw, known));
  });
  return { events, cursor };
}

function read(raw: string, known: Map<string, string>): TrailEvent {
  const fields = members(raw);
  const plain = <T>(name: string) => JSON.parse(fields.get(name) ?? "null") as T;
  const data = fields.get("data") ?? "{}";
  return {
    seq: plain<number>("seq"),
    event: plain<string>("event"),
    attempt: plain<number | null>("attempt"),
    time: plain<string>("time"),
    actor: plain<string>("actor"),
    words: wordsOf(JSON.parse(raw) as LogEvent),
    raw,
    changes: changes(known, members(data)),
  };
}

/** What `data` tells beside what was `known`, which then holds it, too. */
export function changes(known: Map<string, string>, data: ReadonlyMap<string, string>): Change[] {
  const found = [...data].map(([name, after]) => {
    const before = known.get(name) ?? null;
    return { name, before, after, news: before !== after };
  });
  for (const [name, value] of data) known.set(name, value);
  return found;
}
