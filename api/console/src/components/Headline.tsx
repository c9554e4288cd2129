import type { Schemas } from "../lib/api";
import { shown } from "../lib/safe_text";
import { type Part, parts } from "../lib/sentence";
import { MOST_NAMED } from "../lib/task_page";
import { TaskLink } from "./Link";
import { Moment } from "./Time";

/** Why a task is where it is: the sentence, and links to what stands in the way. */
export function Headline({ why }: { why: Schemas["Why"] }) {
  return (
    <div class="why">
      <p dir="auto">{parts(why.sentence, why.task_id, why.blocked_by).map(drawn)}</p>
      {why.blocked_by.length > 1 && (
        <ul class="blockers">
          {why.blocked_by.slice(0, MOST_NAMED).map((one) => (
            <li key={one.task_id}>
              <TaskLink id={one.task_id} title={one.title} /> {one.holds ? "holds" : "waits for"}{" "}
              <span class="mono">{one.paths.map(shown).join(" ")}</span>
              {one.token !== null && <span class="dim"> token {one.token}</span>} <span class="dim">since</span>{" "}
              <Moment at={one.since} />
            </li>
          ))}
          {why.blocked_by.length > MOST_NAMED && <li class="dim">and {why.blocked_by.length - MOST_NAMED} more</li>}
        </ul>
      )}
    </div>
  );
}

function drawn(part: Part, index: number) {
  if (part.kind === "task") return <TaskLink key={index} id={part.id} title={part.title} />;
  if (part.kind === "time") return <Moment key={index} at={part.at} />;
  return shown(part.text);
}
