// What the time machine marks on its axis: failures, refused locks, lost runners, and locks that a person has freed.
import type { Schemas } from "./api";

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
