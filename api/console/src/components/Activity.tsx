// What runs and what waits for whom, a few lines with names: of now on the overview, and as the past knows it.
import type { Schemas } from "../lib/api";
import { count, plural } from "../lib/format";
import { placeOf } from "../lib/overview";
import { shown } from "../lib/safe_text";
import { Link, TaskLink } from "./Link";
import { Glyph } from "./Status";
import { Span } from "./Time";

export type Run = Pick<Schemas["RunningRead"], "task_id" | "title" | "since" | "workspace" | "holds" | "paths" | "more_paths">;
type Named = Schemas["NamedTask"];

/** The newest of the tasks that run; `total`: how many there are, as far as that is known. */
export function RunningCard({ runs, total }: { runs: readonly Run[] | null; total: number | null }) {
  return (
    <section class="card wide" aria-label="Running">
      <h2>Running</h2>
      {runs === null && <p class="dim">Not known now.</p>}
      {runs?.length === 0 && <p class="calm">{total === null ? "None of the newest tasks." : "No task runs."}</p>}
      <ul class="runs">
        {runs?.map((one) => (
          <li key={one.task_id}>
            <Glyph state="running" />
            <span class="words">
              <TaskLink id={one.task_id} title={one.title} />
              {one.workspace !== null && one.holds && (
                <span class="dim">
                  {" holds "}
                  <bdi>{shown(placeOf(one.paths, one.more_paths, one.workspace))}</bdi>
                </span>
              )}
            </span>
            <span class="dim">
              <Span from={one.since} to={null} />
            </span>
          </li>
        ))}
      </ul>
      {runs !== null && (total === null || total > runs.length) && (
        <p class="dim">
          {runs.length > 0 && `The newest ${count(runs.length)}. `}
          <Link to="/tasks" params={{ status: "running" }}>
            {total === null ? "All that ran" : `All ${count(total)} that run`}
          </Link>
        </p>
      )}
    </section>
  );
}

interface WaitProps {
  task: Named;
  paths: readonly string[];
  more: number;
  behind: readonly Named[];
  /** How many claims are in the way, those of `behind` among them. */
  inTheWay: number;
}

const NAMED = 2;

/** "migrate waits for src behind build". */
export function WaitLine({ task, paths, more, behind, inTheWay }: WaitProps) {
  const named = behind.slice(0, NAMED);
  const others = inTheWay - named.length;
  return (
    <span class="wait-line">
      <TaskLink id={task.task_id} title={task.title} /> waits for <bdi>{shown(placeOf(paths, more))}</bdi>
      {named.map((one, index) => (
        <>
          {index === 0 ? " behind " : others > 0 ? ", " : " and "}
          <TaskLink id={one.task_id} title={one.title} />
        </>
      ))}
      {named.length > 0 && others > 0 && ` and ${plural(others, "other")}`}
    </span>
  );
}
