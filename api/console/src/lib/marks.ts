// What the time machine marks on its axis: failures, refused locks, lost runners, and locks that a person has freed.
import { type Schemas, get } from "./api";
import type { Range } from "./axis";

export type MarkKind = "failed" | "refused" | "lost" | "freed";

export interface Mark {
  seq: number;
  kind: MarkKind;
}

export interface Marks {
  marks: readonly Mark[];
  /** There may be more before this sequence; null if all are there. */
  before: number | null;
}

export const MARK_WORDS: Record<MarkKind, string> = {
  failed: "failed",
  lost: "runner lost",
  refused: "lock refused",
  freed: "released by hand",
};

const EVENTS = ["failed", "submit-failed", "refused", "lock-release-requested"] as const;
const MOST = 100;

/** The newest marks of a part of the log: at most so many, whatever its length. */
export async function loadMarks({ from, to }: Range, signal: AbortSignal): Promise<Marks> {
  const query = { event: EVENTS, after_seq: from - 1, before_seq: to + 1, limit: MOST };
  const page = await get("/events", { query, signal });
  const marks = page.items.map((event) => ({ seq: event.seq, kind: kindOf(event) })).reverse();
  return { marks, before: page.next_cursor == null ? null : (marks[0]?.seq ?? to) };
}

export function kindOf({ event, data }: Pick<Schemas["EventRead"], "event" | "data">): MarkKind {
  if (event === "refused") return "refused";
  if (event === "lock-release-requested") return "freed";
  return "reason" in data && data.reason === "runner-lost" ? "lost" : "failed";
}

/** `2 failed · 1 runner lost`. */
export function counted(marks: readonly Mark[]): readonly { kind: MarkKind; number: number }[] {
  const kinds = Object.keys(MARK_WORDS) as MarkKind[];
  return kinds.map((kind) => ({ kind, number: marks.filter((mark) => mark.kind === kind).length })).filter((one) => one.number > 0);
}
