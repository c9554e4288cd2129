import { count } from "../lib/format";
import { MARK_WORDS, type Marks, counted } from "../lib/marks";
import { roleMissing, session } from "../lib/session";
import { MARK_SHAPES } from "./MomentAxis";

/** What the marks are, and how many of each; what is left out is told. */
export function Legend({ marks }: { marks: Marks | null }) {
  const missing = session.value === null ? null : roleMissing("GET /events");
  if (missing !== null) return <p class="legend dim">Marks for failures, refusals, lost runners and releases need the role {missing}.</p>;
  if (marks === null) return <p class="legend dim"> </p>;
  const kinds = counted(marks.marks);
  return (
    <p class="legend dim">
      {kinds.length === 0 && <span>No failure, refusal, lost runner or release by hand here.</span>}
      {kinds.map(({ kind, number }) => (
        <span key={kind}>
          <svg class="glyph" viewBox="-7 0 14 14" aria-hidden="true">
            <g class={`mark-${kind}`}>{MARK_SHAPES[kind]}</g>
          </svg>{" "}
          {count(number)} {MARK_WORDS[kind]}
        </span>
      ))}
      {marks.before !== null && <span>Only the newest; look closer for what is before {count(marks.before)}.</span>}
    </p>
  );
}
